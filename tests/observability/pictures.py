"""Pictures of the dashboards for the documentation: make pictures.

The queries are the dashboards' own, and so are the places of the panels; matplotlib draws them in Grafana's stead.
"""

import math
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image

from k8s.observability.dashboards import boards
from k8s.observability.dashboards.model import COLUMNS, Board, Look, Panel, Place, Query, Section, Unit
from tests.observability.prometheus import Prometheus, Series
from tests.observability.watched import Traffic, Watched, filled, watched

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TRAFFIC = Traffic(players=30, markets=10, bets=300, seasons=2, reviews=12)
COLUMN_INCHES, ROW_INCHES, DPI = 0.6, 0.34, 84
COLORS = 64
"""Enough for lines and letters, and a third of the bytes."""
LETTERS_A_COLUMN = 12
"""Of a legend, for each of Grafana's columns that a panel is wide."""
GOOD, BAD, NEITHER, PAPER, EDGE = "#2f9e5c", "#c4314b", "#3f6fb5", "#ffffff", "#d8d9e0"
WINDOW, WINDOW_OF_NUMBERS = "15s", "1m"
STEP_SECONDS = 1
GAP_SECONDS = 3
"""A line breaks where nothing came for so long."""


def main() -> None:
    """Play for a minute, and draw what Prometheus has seen."""
    mpl.use("Agg")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, watched(Path(folder), TRAFFIC) as seen:
        for board in boards.ALL:
            figure = _draw(board, seen)
            figure.savefig(IMAGES / f"dashboard-{board.name}.png", dpi=DPI, pil_kwargs={"optimize": True})
            plt.close(figure)
            _shrink(IMAGES / f"dashboard-{board.name}.png")


def _draw(board: Board, seen: Watched) -> Figure:
    placed = list(board.placed())
    rows = max(place.y + place.height for _, place in placed) + 1
    figure = plt.figure(figsize=(COLUMNS * COLUMN_INCHES, rows * ROW_INCHES), facecolor="#f4f5f5")
    figure.text(0.006, 1 - 0.5 / rows, board.title, fontsize=13, weight="bold", va="center")
    for what, place in placed:
        if isinstance(what, Section):
            figure.text(0.006, 1 - (place.y + 1.6) / rows, what.title, fontsize=10, weight="bold", va="center")
        else:
            _panel(figure, what, place, rows, seen)
    return figure


def _panel(figure: Figure, panel: Panel, place: Place, rows: int, seen: Watched) -> None:
    left, top = place.x / COLUMNS, 1 - (place.y + 1) / rows
    width, height = place.width / COLUMNS, place.height / rows
    gap = 0.1 / COLUMNS
    frame = figure.add_axes((left + gap, top - height + 0.1 / rows, width - 2 * gap, height - 0.2 / rows))
    frame.set(xticks=[], yticks=[], facecolor=PAPER)
    for spine in frame.spines.values():
        spine.set_color(EDGE)
    title = frame.text(0.02, 1 - 0.5 / place.height, panel.title, fontsize=8, va="center", transform=frame.transAxes)
    match panel.look:
        case Look.NUMBER:
            title.set_color("white")
            _number(frame, panel, seen)
        case Look.TABLE:
            _table(frame, panel, seen)
        case Look.LINES | Look.LAYERS:
            inner = (left + 1.1 / COLUMNS, top - height + 1.6 / rows, width - 1.4 / COLUMNS, height - 2.7 / rows)
            _lines(figure.add_axes(inner), panel, seen)


def _number(frame: Axes, panel: Panel, seen: Watched) -> None:
    found = [(legend, float(series["value"][1])) for legend, series in _now(panel, seen)]
    judged = panel.bad_from is not None or panel.bad_below is not None
    bad = any(_is_bad(panel, value) for _, value in found)
    frame.set_facecolor(BAD if bad else GOOD if judged else NEITHER)
    texts = [legend if panel.names else _with_name(panel, legend, value) for legend, value in found[:2]]
    text = "\n".join(texts) or panel.nothing
    size = 17 if len(text) < 12 and panel.width >= 3 else 11
    frame.text(0.5, 0.42, text, fontsize=size, color="white", ha="center", va="center", transform=frame.transAxes)


def _with_name(panel: Panel, legend: str, value: float) -> str:
    text = panel.words.get(int(value), _shown(panel.unit, value))
    return f"{text} {legend}".strip()


def _is_bad(panel: Panel, value: float) -> bool:
    return (panel.bad_from is not None and value >= panel.bad_from) or (
        panel.bad_below is not None and value < panel.bad_below
    )


def _lines(axes: Axes, panel: Panel, seen: Watched) -> None:
    found = sorted(_over_time(panel, seen), key=lambda each: each[0])
    if panel.look is Look.LAYERS and found:
        _layers(axes, found)
    else:
        for legend, series in found:
            axes.plot(*_points(series), label=legend, linewidth=1.4)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0, low) if low < -0.1 else 0, high if high > 0.1 else 1)
    axes.set_xlim(seen.begin, seen.end)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda when, _: f"{datetime.fromtimestamp(when, UTC):%H:%M:%S}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(panel.unit, value)))
    axes.tick_params(labelsize=6, length=2, color=EDGE)
    axes.grid(visible=True, color="#ececf0", linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if found:
        _legends(axes, panel)
    else:
        axes.text(0.5, 0.5, "no data", fontsize=8, color="#888888", ha="center", transform=axes.transAxes)


def _legends(axes: Axes, panel: Panel) -> None:
    """Two lines of names; of more series the first."""
    artists, names = axes.get_legend_handles_labels()
    columns = max(1, panel.width * LETTERS_A_COLUMN // (max(map(len, names)) + 6))
    shown = 2 * columns
    axes.legend(
        artists[:shown],
        names[:shown],
        loc="upper left",
        bbox_to_anchor=(-0.08, -0.1),
        ncols=columns,
        fontsize=6,
        frameon=False,
        handlelength=1,
    )


def _layers(axes: Axes, found: list[tuple[str, Series]]) -> None:
    times = sorted({when for _, series in found for when in _heights(series)})
    heights = [[_heights(series).get(when, 0.0) for when in times] for _, series in found]
    axes.stackplot(times, heights, labels=[legend for legend, _ in found], alpha=0.75)


def _heights(series: Series) -> dict[float, float]:
    return {when: float(value) for when, value in series["values"]}


def _points(series: Series) -> tuple[list[float], list[float]]:
    """Times and values, with nothing where nothing came."""
    times: list[float] = []
    values: list[float] = []
    for when, value in series["values"]:
        if times and when - times[-1] > GAP_SECONDS:
            times.append(times[-1] + STEP_SECONDS)
            values.append(math.nan)
        times.append(when)
        values.append(float(value))
    return times, values


def _table(frame: Axes, panel: Panel, seen: Watched) -> None:
    """One row a version: the labels of the first query, and a column for each that has a title."""
    rows: dict[str, dict[str, str]] = {}
    for query in panel.queries:
        for series in seen.prometheus.at(filled(query.expr), seen.end):
            labels = dict(series["metric"])
            row = rows.setdefault(labels["version"], {})
            row |= labels
            if query.legend:
                row[query.legend] = _shown(query.unit or panel.unit, float(series["value"][1]))
    titles = list(dict.fromkeys(title for row in rows.values() for title in row))
    cells = [[row.get(title, "") for title in titles] for _, row in sorted(rows.items())]
    where = Bbox.from_bounds(0.01, 0.25, 0.98, 0.55)
    table = frame.table(cells, colLabels=titles, bbox=where, cellLoc="left", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(8)


def _now(panel: Panel, seen: Watched) -> Iterator[tuple[str, Series]]:
    more = {"rate_interval": WINDOW_OF_NUMBERS, "range": f"{seen.end - seen.begin:.0f}s"}
    yield from _series(panel, lambda expr: seen.prometheus.at(filled(expr, **more), seen.end))


def _over_time(panel: Panel, seen: Watched) -> Iterator[tuple[str, Series]]:
    def ask(expr: str) -> list[Series]:
        prometheus: Prometheus = seen.prometheus
        return prometheus.during(filled(expr, rate_interval=WINDOW), seen.begin, seen.end, STEP_SECONDS)

    yield from _series(panel, ask)


def _series(panel: Panel, ask: Callable[[str], list[Series]]) -> Iterator[tuple[str, Series]]:
    for query in panel.queries:
        for series in ask(query.expr):
            yield _legend(query, series["metric"]), series


def _legend(query: Query, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), query.legend)


def _shown(unit: Unit, value: float) -> str:
    match unit:
        case Unit.SECONDS:
            return _scaled(value, (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1), ("ms", 0.001)))
        case Unit.SHARE:
            return f"{value:.0%}"
        case Unit.BYTES | Unit.BYTES_A_SECOND:
            a_second = "/s" if unit is Unit.BYTES_A_SECOND else ""
            return _scaled(value, (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))) + a_second
        case Unit.A_SECOND | Unit.A_MINUTE | Unit.NUMBER:
            return _scaled(value, (("M", 1e6), ("k", 1e3), ("", 1)))


def _scaled(value: float, units: tuple[tuple[str, float], ...]) -> str:
    name, size = next((each for each in units if abs(value) >= each[1]), units[-1])
    return f"{value / size:.3g} {name}".strip()


def _shrink(file: Path) -> None:
    with Image.open(file) as image:
        image.convert("RGB").quantize(COLORS).save(file, optimize=True)


if __name__ == "__main__":
    main()
