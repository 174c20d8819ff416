"""State as many bets would have left it, built by the rules themselves and given to Restate without its ingress.

Placing 100,000 bets to measure the next one would take longer than all that is measured.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import aiohttp

from app.domain.archive import ArchiveFilter, ArchiveIndex, Bucket, Operations, name_of
from app.domain.archive_pages import KEPT_ENDED, MAX_ENDED, archive_ended
from app.domain.bets import ApplyResult, PlaceBet, accept_bet, apply_result, hold_stake
from app.domain.deposits import EndDeposit, ReserveDeposit, credit_deposit, reserve_deposit
from app.domain.high_water import may_be_archived, with_high_water
from app.domain.markets import Market, OpenMarket, join, open_market
from app.domain.model import State
from app.domain.odds import Price, PriceChange
from app.domain.player import Player
from app.domain.policy import Policy
from app.domain.settlement import SelectionOutcome
from app.domain.shards import Accepted, ReserveLeg, Shard, apply_terms, reserve, shard_of, turn_page
from app.domain.statement import without_full_pages
from app.services.player.archive import BUCKET, FILTER, INDEX, bucket_key
from app.services.player.document import STATE as PLAYER

NOW = datetime.now(UTC)
RICH = Policy(default_weekly_deposit_limit=10**9)
SHARDS = 16
AT_ONCE = 32
PRICE = Price.of("2.00")
PAGE = MAX_ENDED + 1 - KEPT_ENDED
"""Bets that a veteran's document lets go of at once."""
STEADY = 485
"""After so many bets a player's document has its final size, however many more follow; 10 of them are still in it.

With some more, what is planted for 100,000 bets would exceed the 64 KiB that Restate's admin API takes at once.
"""

Planted = tuple[str, str, Mapping[str, State | ArchiveFilter]]
"""A service, a key, and its state."""


def rich_player(user_id: str) -> Player:
    """A player with money in the wallet w."""
    request = ReserveDeposit(
        deposit_id="d",
        wallet_id="w",
        amount=10**8,
        currency=None,
        payment_method="card",
        email="a@example.com",
        now=NOW,
    )
    reserved = reserve_deposit(Player(user_id=user_id), request, RICH).player
    return credit_deposit(reserved, EndDeposit(deposit_id="d", now=NOW)).player


def with_open_bet(player: Player, bet_id: str, market_id: str) -> Player:
    """The player with one more bet."""
    leg = {"market_id": market_id, "selection_id": "home", "price": PRICE}
    bet = PlaceBet.model_validate({"bet_id": bet_id, "wallet_id": "w", "stake": 10, "legs": [leg]})
    held = hold_stake(player, bet, NOW, RICH).player
    return accept_bet(held, bet_id, {market_id: PRICE}).player


def veterans(names: Sequence[str], bets: int, marked: bool = True) -> Iterator[Planted]:
    """Players after so many bets each that were lost, with the archive of most of them.

    Their ids sort before those that the benchmark makes. Without the mark, they are players whose archive an earlier
    version began, and who cost what a player does whose ids have no order: each new id is looked for in the archive.
    """
    lost = {"home": SelectionOutcome.model_validate({"result": "lost"})}
    veteran = rich_player("veteran")
    for number in range(min(bets, STEADY)):
        betting = with_open_bet(veteran, old_bet(number), "old")
        request = ApplyResult(market_id="old", version=1, outcomes=lost, bet_ids=[old_bet(number)], now=NOW)
        after = apply_result(betting, request).player
        kept, _ = archive_ended(without_full_pages(after))
        veteran = with_high_water(veteran, after, kept) if marked else kept
    new = may_be_archived(veteran, Operations.BETS, ["1"]) == []
    assert new == (marked or not veteran.has_archive), "the mark is not what this player is to have"
    index, known, buckets = ArchiveIndex(), ArchiveFilter(), dict[str, Bucket]()
    for start in range(0, bets - MAX_ENDED, PAGE):
        page = [name_of(Operations.BETS, old_bet(number)) for number in range(start, start + PAGE)]
        index, moved = index.with_page(page).move_old()
        known = known.with_buckets(moved)
        buckets |= {name: buckets.get(name, Bucket()).with_more(added) for name, added in moved.items()}
    for user_id in names:
        player = veteran.changed(user_id=user_id)
        yield "PlayerService", user_id, {PLAYER: player, INDEX: index, FILTER: known}
        for name, bucket in buckets.items():
            yield "ArchiveBucket", bucket_key(user_id, name), {BUCKET: bucket}


def old_bet(number: int) -> str:
    """The id of a veteran's bet."""
    return f"0-{number:06}"


def offer(home: Price = PRICE) -> OpenMarket:
    """A market of two selections."""
    selections = [{"selection_id": name, "name": name, "price": home} for name in ("home", "away")]
    return OpenMarket.model_validate({"name": "A game", "selections": selections})


def market_with_bets(market_id: str, bets: Iterable[tuple[str, str]]) -> Iterator[Planted]:
    """A market, its shards and their pages, with bets of users by their ids."""
    market = open_market(None, market_id, offer())
    assert isinstance(market, Market)
    shards: dict[int, Shard] = {number: apply_terms(None, market.terms) for number in range(SHARDS)}
    for number in shards:
        market = join(market, number)
    for user_id, bet_id in bets:
        number = shard_of(user_id, SHARDS)
        leg = ReserveLeg(
            user_id=user_id,
            bet_id=bet_id,
            selection_id="home",
            price=PRICE,
            price_change=PriceChange.NONE,
            stake=10,
            potential_return=20,
        )
        before = shards[number]
        after, outcome = reserve(before, leg)
        assert isinstance(outcome, Accepted)
        shards[number], full = turn_page(after)
        if full is not None:
            yield "MarketBookPage", f"{market_id}:{number}:{before.full_pages}", {"page": full}
    yield "MarketService", market_id, {"market": market}
    for number, shard in shards.items():
        yield "MarketBook", f"{market_id}:{number}", {"book": shard}


async def plant(admin: str, planted: Iterable[Planted]) -> None:
    """Give Restate all this state, and wait until the last of it is there."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(
        client: aiohttp.ClientSession, service: str, key: str, state: Mapping[str, State | ArchiveFilter]
    ) -> None:
        content = {name: list(_bytes(document)) for name, document in state.items()}
        async with client.post(f"/services/{service}/state", json={"object_key": key, "new_state": content}) as answer:
            answer.raise_for_status()
        gate.release()

    async with aiohttp.ClientSession(admin) as client, asyncio.TaskGroup() as group:
        for service, key, state in planted:
            await gate.acquire()
            group.create_task(one(client, service, key, state))


def _bytes(document: State | ArchiveFilter) -> bytes:
    return document.packed() if isinstance(document, ArchiveFilter) else document.model_dump_json().encode()
