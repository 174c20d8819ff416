"""Who may call a public handler and what it refuses with: declared beside it, true of its code, and on docs/api.md."""

import re
from pathlib import Path

import pytest

from app.composition import SERVICES
from app.domain.access import Access, Role
from app.domain.refusals import Refusal
from app.services.shell.access import PublicHandler, public_handlers
from tests.helpers.refusals import reachable

PAGE = Path(__file__).parent.parent / "docs" / "api.md"

EVERYWHERE = {Refusal.INVALID_REQUEST, Refusal.UNAUTHENTICATED, Refusal.NOT_YOURS, Refusal.ROLE_NEEDED}
"""What depends on the request's form and its caller; the page tells it once."""

R = Refusal
_RESTRICTED = {R.SELF_EXCLUDED, R.ON_A_BREAK}
_OF_CHANGES = {R.ID_REUSED, R.MARKET_NOT_OPEN, R.SELECTION_WITHDRAWN, R.UNKNOWN_SELECTION}
NEVER = {
    # A deposit counts against deposit limits only, and a stake against the other two: the rule is one for all limits.
    "PaymentService/deposit": {R.STAKE_LIMIT, R.LOSS_LIMIT},
    "PlayerService/placeBet": {R.DEPOSIT_LIMIT},
    # Whether a player is excluded decides here whether a charge goes on; it refuses no event and no cancel.
    "PaymentService/webhook": _RESTRICTED,
    "DepositFollowUp/webhook": _RESTRICTED,
    "DepositFollowUp/cancel": _RESTRICTED,
    # One change is applied by one function, whichever kind it is.
    "MarketService/setPrices": {R.ID_REUSED},
    "MarketService/suspend": _OF_CHANGES - {R.MARKET_NOT_OPEN},
    "MarketService/resume": _OF_CHANGES - {R.MARKET_NOT_OPEN},
    "MarketService/close": _OF_CHANGES - {R.MARKET_NOT_OPEN},
    "MarketService/withdraw": {R.SELECTION_WITHDRAWN},
    "MarketService/settle": {R.MARKET_NOT_OPEN},
    # What a market refuses is no refusal of the feed: it parks the record, and a retry says why it stays.
    "MarketFeed/take": {R.UNKNOWN_MARKET, R.OVERTAKEN, *_OF_CHANGES},
    "MarketQuarantine/retry": {R.UNKNOWN_MARKET, R.OVERTAKEN, *_OF_CHANGES},
}
"""What the code of a handler names and cannot give, with the reason why."""

HANDLERS = list(public_handlers(SERVICES))
_FUNCTIONS = {
    f"{service.name}/{handler.name}": handler.fn for service in SERVICES for handler in service.handlers.values()
}


def name(handler: PublicHandler) -> str:
    return f"{handler.service}/{handler.handler}"


def in_words(access: Access) -> str:
    """Who may call, as the page writes it."""
    players = ["the player"] if access.owner else []
    words = {Role.PROVIDER: "the provider, by its signature"}
    return ", ".join([*players, *(words.get(role, role.value) for role in access.roles)])


def refusals_of(handler: PublicHandler) -> set[Refusal]:
    named = reachable(_FUNCTIONS[name(handler)])
    return set(named) - EVERYWHERE - NEVER.get(name(handler), set())


def documented() -> dict[str, tuple[str, list[str]]]:
    section = PAGE.read_text().split("\n## Who may call, and what is refused\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/(?:\{\w+\}/)?(\w+)` \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    return {f"{service}/{handler}": (who, re.findall(r"`(\w+)`", what)) for service, handler, who, what in rows}


def test_the_page_has_every_public_handler_once() -> None:
    assert list(documented()) == [name(handler) for handler in HANDLERS]


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_the_page_says_who_may_call(handler: PublicHandler) -> None:
    assert documented()[name(handler)][0] == in_words(handler.access)


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_the_page_says_what_a_handler_refuses_with(handler: PublicHandler) -> None:
    order = list(Refusal)

    assert documented()[name(handler)][1] == sorted(handler.refuses, key=order.index)


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_a_handler_declares_what_its_code_refuses_with(handler: PublicHandler) -> None:
    order = list(Refusal)

    assert list(handler.refuses) == sorted(refusals_of(handler), key=order.index)


@pytest.mark.parametrize("handler", NEVER)
def test_what_a_handler_cannot_give_is_still_named_by_its_code(handler: str) -> None:
    assert NEVER[handler] <= reachable(_FUNCTIONS[handler])


def test_every_refusal_is_given_by_some_handler() -> None:
    given = {refusal for handler in HANDLERS for refusal in refusals_of(handler)}

    assert given | EVERYWHERE | {Refusal.OVERTAKEN} == set(Refusal), (
        "overtaken parks a record, and is none of a request"
    )


def test_a_refusal_is_found_in_tables_and_behind_calls_but_not_behind_sends() -> None:
    assert reachable(_calls) == {R.IN_DEBT, R.ON_A_BREAK}


_TABLE = {"one": R.ON_A_BREAK}


def _deep() -> Refusal:
    return R.IN_DEBT


def _sent() -> Refusal:
    return R.WRONG_CODE


def _calls(ctx: object) -> object:
    ctx.object_send(_sent, "key", None)  # type: ignore[attr-defined]
    return _TABLE["one"] or _deep()
