"""Dashboards as the JSON that Grafana loads."""

from collections.abc import Iterator
from string import ascii_uppercase

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from k8s.observability.dashboards.model import Board, Look, Panel, Place, Section

TAG = "betting"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GOOD, BAD, NEITHER = "green", "red", "blue"

Drawn = stat.Panel | timeseries.Panel | table.Panel


def as_json(board: Board) -> str:
    """The file of a dashboard."""
    return JSONEncoder(sort_keys=True, indent=2).encode(_dashboard(board).build()) + "\n"


def _dashboard(board: Board) -> Dashboard:
    made = (
        Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_namespace())
    )
    for number, (what, place) in enumerate(board.placed(), 1):
        if isinstance(what, Section):
            made = made.with_row(Row(what.title).grid_pos(_grid(place)).id(number))
        else:
            made = made.with_panel(_panel(what).grid_pos(_grid(place)).id(number))
    return made


def _others() -> DashboardLink:
    """Links to the dashboards beside this one, which keep what is looked at."""
    return (
        DashboardLink("Betting")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .icon("dashboard")
        .tooltip("The other dashboards of betting")
        .include_vars(True)
        .keep_time(True)
    )


def _namespace() -> QueryVariable:
    """Where in the cluster to look; at first everywhere, also where Prometheus knows no namespaces."""
    return (
        QueryVariable("namespace")
        .label("Namespace")
        .datasource(SOURCE)
        .query('label_values(up{job=~"betting-.+"}, namespace)')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
        .hide(VariableHide.DONT_HIDE)
    )


def _grid(place: Place) -> GridPos:
    return GridPos(h=place.height, w=place.width, x=place.x, y=place.y)


def _panel(panel: Panel) -> Drawn:
    drawn: Drawn
    match panel.look:
        case Look.NUMBER:
            drawn = _number(panel)
        case Look.TABLE:
            drawn = _table(panel)
        case Look.LINES | Look.LAYERS:
            drawn = _lines(panel)
    drawn = (
        drawn.title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .no_value(panel.nothing)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(_thresholds(panel))))
        .mappings(_words(panel))
    )
    for query in _queries(panel):
        drawn = drawn.with_target(query)
    return drawn


def _queries(panel: Panel) -> Iterator[Dataquery]:
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        made = Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
        match panel.look:
            case Look.TABLE:
                yield made.instant().format(PromQueryFormat.TABLE)
            case Look.NUMBER:
                yield made.instant().legend_format(query.legend)
            case Look.LINES | Look.LAYERS:
                yield made.range().legend_format(query.legend)


def _thresholds(panel: Panel) -> Iterator[Threshold]:
    if panel.bad_below is None and panel.bad_from is None:
        yield Threshold(value=None, color=NEITHER)
        return
    yield Threshold(value=None, color=GOOD if panel.bad_below is None else BAD)
    if panel.bad_below is not None:
        yield Threshold(value=panel.bad_below, color=GOOD)
    if panel.bad_from is not None:
        yield Threshold(value=panel.bad_from, color=BAD)


def _words(panel: Panel) -> list[ValueMapping]:
    if not panel.words:
        return []
    return [ValueMap({str(value): ValueMappingResult(text=word) for value, word in panel.words.items()})]


def _number(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.BACKGROUND)
        .text_mode(BigValueTextMode.NAME if panel.names else BigValueTextMode.AUTO)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _lines(panel: Panel) -> timeseries.Panel:
    layers = panel.look is Look.LAYERS
    return (
        timeseries.Panel()
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .line_width(2)
        .fill_opacity(30 if layers else 0)
        .show_points(VisibilityMode.NEVER)
        .stacking(StackingConfig().mode(StackingMode.NORMAL if layers else StackingMode.NONE))
        .axis_soft_min(0)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
    )


def _table(panel: Panel) -> table.Panel:
    """The columns of all queries, joined by the labels that they share."""
    columns = {f"Value #{letter}": q.legend for letter, q in zip(ascii_uppercase, panel.queries, strict=False)}
    hidden = {"Time": True} | {column: True for column, title in columns.items() if not title}
    named = {column: title for column, title in columns.items() if title}
    organize = {"excludeByName": hidden, "renameByName": named, "indexByName": {}}
    made = (
        table.Panel()
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    )
    for query in panel.queries:
        if query.unit is not None:
            made = made.override_by_name(query.legend, [DynamicConfigValue(id_val="unit", value=query.unit)])
    return made
