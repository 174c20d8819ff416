"""What the documentation lists is what there is."""

import re
from pathlib import Path

from app.composition import SERVICES
from app.domain.currency import CurrencyAmounts
from app.domain.refusals import HTTP_STATUS, TERMS
from app.settings import Settings
from k8s.observability.dashboards import boards

METADATA = {"again", "maxStake", "maxStakePerPlayer", "currency", "available", "remaining", "period", "price", "amount"}
DOCS = Path(__file__).parents[1] / "docs"


def test_every_setting_is_documented_with_its_default_and_unit() -> None:
    documented = (DOCS / "settings.md").read_text().splitlines()

    for name, field in Settings.model_fields.items():
        value = field.default
        if isinstance(value, tuple | frozenset):
            value = ",".join(map(str, value))
        if isinstance(value, CurrencyAmounts):
            value = str(value)
        assert (
            f"| `BETTING_{name.upper()}` | {f'`{value}`' if value != '' else ''} | {field.description} |" in documented
        )


def test_every_public_handler_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", (DOCS / "api.md").read_text(), re.MULTILINE)
    documented = set()
    for row in rows:
        path, *more = re.findall(r"`([^`]+)`", row)
        documented |= {(path.split("/")[0], name) for name in (path.split("/")[-1], *more)}

    public = {
        (service.name, handler.name)
        for service in SERVICES
        if not service.ingress_private
        for handler in service.handlers.values()
        if not handler.ingress_private
    }
    assert documented == public


def test_every_refusal_is_documented_under_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", (DOCS / "api.md").read_text(), re.MULTILINE)

    documented = {int(status): set(re.findall(r"`([a-z_]+)`", reasons)) - METADATA for status, reasons in rows}
    assert documented == {status: {reason.value for reason in reasons} for status, reasons in HTTP_STATUS.items()}


def test_every_refusal_that_passes_by_itself_is_documented_as_one() -> None:
    rows = re.findall(r"^\| (\d{3}) \| .+ \| (.+) \|$", (DOCS / "api.md").read_text(), re.MULTILINE)

    documented = {(reason, int(status)) for status, reasons in rows for reason in re.findall(r"`([a-z_]+)`", reasons)}
    assert documented == {(reason.value, terms.status) for reason, terms in TERMS.items() if terms.transient}


KINDS = {"service": "Service", "object": "Virtual Object", "workflow": "Workflow"}


def test_the_components_of_the_architecture_are_those_served_with_their_kinds() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    documented = {}
    for name, facts in rows:
        kind, *more = facts.split(", ")
        documented[name] = (kind, "private" in more)

    assert len(rows) == len(documented)
    assert documented == {
        service.name: (KINDS[service.service_tag.kind], bool(service.ingress_private)) for service in SERVICES
    }


def architecture(heading: str) -> str:
    """A part of the page, up to the next heading of its level."""
    page = (DOCS / "architecture.md").read_text()
    return page.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_what_is_private_is_listed_and_nothing_else() -> None:
    rows = re.findall(r"^\| (\w+) \| (.+) \|$", architecture("What is private"), re.MULTILINE)

    documented = {name: set(re.findall(r"`(\w+)`", handlers)) for name, handlers in rows if name != "of"}
    assert documented == {
        service.name: private
        for service in SERVICES
        if (
            private := {
                handler.name
                for handler in service.handlers.values()
                if service.ingress_private or handler.ingress_private
            }
        )
    }


def test_the_panels_that_runbooks_name_are_on_that_dashboard() -> None:
    titles = {board.title: {placed.title for placed, _ in board.placed()} for board in boards.ALL}
    named = []
    for page in (DOCS / "runbooks").glob("*.md"):
        for board, sentence in re.findall(r"[Oo]n the dashboard ([\w: ]+), ([^.]+)\.", page.read_text()):
            named += [(page.stem, board, panel) for panel in re.findall(r'"([^"]+)"', sentence)]

    assert len(named) >= 6
    assert [(page, board, panel) for page, board, panel in named if panel not in titles.get(board, set())] == []
