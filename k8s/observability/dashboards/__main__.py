"""Write all dashboards where the chart takes them from."""

from pathlib import Path

from k8s.observability.dashboards import boards, grafana

FILES = Path(__file__).parents[3] / "charts" / "betting" / "files" / "dashboards"

if __name__ == "__main__":
    FILES.mkdir(parents=True, exist_ok=True)
    for board in boards.ALL:
        (FILES / f"{board.name}.json").write_text(grafana.as_json(board))
