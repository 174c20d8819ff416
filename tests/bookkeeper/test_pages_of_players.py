"""A look at all players by tiny pages: each player is seen once, and a page that fails is asked for again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from app.bookkeeper import queries
from app.bookkeeper import restate as module
from app.bookkeeper.books import Books
from app.bookkeeper.restate import Restate, UnknownError
from app.domain.odds import PriceChange
from app.domain.player import Bet, Player
from app.domain.responsible_gambling import Limit
from app.domain.wallet import Account, Wallet
from tests.bookkeeper.looking import Kept, looks
from tests.helpers.ports import free_port
from tests.helpers.scripted import Scripted
from tests.helpers.serving import served

AT_FIRST, LATER = 12, 12
CUT = (200, None, b'{"rows":[{"player":"bob"},{"pl')
TWO = (200, None, b'{"rows":[{"n":2,"players":2}]}')
WHOLE = (200, None, b'{"rows":[{"player":"ann","user_id":"ann"},{"player":"bob"}]}')

NO_MORE = (500, None, b"")


def look(kept: Kept, players_a_page: int) -> Books:
    system = kept.system
    restate = Restate(system.admin, system.ingress, timedelta(0), 0, players_a_page=players_a_page)
    [books] = asyncio.run(looks(restate, 0, 1))
    return books


def plant(kept: Kept, number: int) -> None:
    """A player whose cash is a bit of its own, so that the sum tells who was seen, and whether only once."""
    user, cash = f"bit-{number}", 2**number
    wallet = Wallet(currency="SEK", accounts={Account.CASH: cash, Account.PROVIDER: -cash})
    document = Player(user_id=user, wallets={"w": wallet}).model_dump_json()
    kept.system.plant("PlayerService", user, {"player": document.encode()})


def join(kept: Kept) -> None:
    for number in range(LATER):
        plant(kept, AT_FIRST + number)


def test_each_player_is_seen_once_also_while_others_join(kept: Kept) -> None:
    for number in range(AT_FIRST):
        plant(kept, number)
    at_first = 2**AT_FIRST - 1
    assert look(kept, players_a_page=2).balances["SEK"]["cash"] == at_first

    with ThreadPoolExecutor(1) as beside:
        joining = beside.submit(join, kept)
        seen = []
        while not joining.done():
            seen.append(look(kept, players_a_page=2))
        joining.result()
    seen.append(look(kept, players_a_page=1))

    for books in seen:
        who = books.balances["SEK"]["cash"]
        assert who & at_first == at_first
        assert who.bit_count() == books.players  # a player seen twice would carry into another's bit
        assert books.balanced
    assert seen[-1].balances["SEK"]["cash"] == 2 ** (AT_FIRST + LATER) - 1


def test_only_who_has_something_under_way_is_looked_at_more_closely(kept: Kept) -> None:
    bet = Bet(
        wallet_id="w",
        stake=1,
        system_size=None,
        lines=1,
        legs=[],
        price_change=PriceChange.NONE,
        max_payout=1,
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    limited = {"deposit/day": Limit(amount=100)}
    players = [
        Player(user_id="limited", limits=limited),
        Player(user_id="betting", limits=limited, bets={"b": bet}),
    ]
    for player in players:
        kept.system.plant("PlayerService", player.user_id, {"player": player.model_dump_json().encode()})

    rows = kept.system.query(queries.PAGE_OF_PLAYERS.format(first=0, last=queries.LAST_PLACE))

    under_way = {row["player"]: row.get("under_way") for row in rows}
    assert (under_way["limited"], under_way["betting"]) == (None, True)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_PAUSES_SECONDS", (0.0, 0.0))


async def looked(url: str, done: Callable[[str], None] = lambda _: None) -> None:
    async with Restate(url, url, timedelta(0), 0, players_a_page=10) as restate:
        await restate.look(0, done)


@pytest.mark.usefixtures("_at_once")
def test_a_page_that_breaks_off_is_asked_for_again_and_counted_once() -> None:
    scripted = Scripted(TWO, CUT, WHOLE, NO_MORE)
    told: list[str] = []

    with served(scripted, free_port()) as url, pytest.raises(UnknownError, match="answers 500"):
        asyncio.run(looked(url, told.append))

    assert (told, scripted.asked) == (["2 of about 2 players"], 4)


@pytest.mark.usefixtures("_at_once")
def test_a_page_that_always_breaks_off_leaves_the_books_unknown() -> None:
    scripted = Scripted(TWO, CUT)

    with served(scripted, free_port()) as url, pytest.raises(UnknownError, match="cut off"):
        asyncio.run(looked(url))

    assert scripted.asked == 4
