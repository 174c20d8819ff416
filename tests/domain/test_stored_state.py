"""Old state still loads: the files under tests/data/state were written by the version that they are named after.

They are never changed. A version that stores something new adds files of its own: run this module to write them.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.access import Actor, Role
from app.domain.archive import ArchiveIndex
from app.domain.archive_pages import ArchivePage
from app.domain.bets import ApplyResult, accept_bet, apply_result, cash_out, hold_stake, release_stake
from app.domain.deposits import EndDeposit, credit_deposit, decline_deposit, reserve_deposit
from app.domain.feed import Feed, Origin, Record, RecordType, Rejection, applied, arrived, wait
from app.domain.follow_up import FollowUp, Phase
from app.domain.high_water import with_high_water
from app.domain.markets import (
    ChangeKind,
    Market,
    OpenMarket,
    SettleMarket,
    begin_round,
    join,
    lease,
    open_market,
    settle,
)
from app.domain.model import State
from app.domain.odds import Price, PriceChange
from app.domain.payments import ChargeRequest, EventStatus, PaymentEvent
from app.domain.player import Player, Review, Verdict
from app.domain.policy import Policy
from app.domain.protection import SetLimit, self_exclude, set_limit
from app.domain.quarantine import MAX_PARKED, Quarantine, park, record_to_park
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import LimitKind, Period
from app.domain.shards import ReserveLeg, Shard, apply_terms, lease_wanted, reserve, with_lease
from app.domain.statement import StatementPage, audit
from app.domain.withdrawals import (
    EndWithdrawal,
    FollowedPayout,
    Search,
    WithdrawalOrder,
    hold_withdrawal,
    pay_withdrawal,
)
from app.services.markets.markets import PricesRequest
from tests.strategies import START, hold, outcome, place, player
from tests.strategies import reserve as reserve_request

FOLDER = Path(__file__).parents[1] / "data" / "state"
KINDS: dict[str, type[State]] = {
    "player": Player,
    "follow-up": FollowUp,
    "payout": FollowedPayout,
    "archive-index": ArchiveIndex,
    "archive-page": ArchivePage,
    "statement-page": StatementPage,
    "market": Market,
    "book": Shard,
    "market-feed": Feed,
    "market-quarantine": Quarantine,
}
POLICY = Policy()
SUPPORT = Actor(user="sue", role=Role.SUPPORT)
TRADER = Actor(user="tom", role=Role.TRADER)
REVIEW = Review(verdict=Verdict.APPROVED, operator="ann", role=Role.PAYMENTS, reason="known for years", message="enjoy")


def busy_player() -> Player:
    """A player with something of everything that this version stores."""
    document = player()
    for name in ("d-credited", "d-declined", "d-reserved"):
        document = reserve_deposit(document, reserve_request(name, 1_000), POLICY).player
    document = credit_deposit(document, EndDeposit(deposit_id="d-credited", now=START)).player
    document = decline_deposit(document, EndDeposit(deposit_id="d-declined", now=START)).player
    for name in ("x-paid", "x-held"):
        document = hold_withdrawal(document, hold(name, 100), POLICY).player
    document = pay_withdrawal(document, EndWithdrawal(withdrawal_id="x-paid", now=START, review=REVIEW)).player
    for period, amount in ((Period.DAY, 500), (Period.WEEK, None)):
        wish = SetLimit(kind=LimitKind.DEPOSIT, period=period, amount=amount)
        document = set_limit(document, wish, START, POLICY, SUPPORT).player
    document = with_bets(document)
    document = with_high_water(document, document, kept=document.changed(has_archive=True))
    return self_exclude(document, 6, START + timedelta(days=1), SUPPORT).player


def with_bets(document: Player) -> Player:
    """The player with bets in every state that is stored."""
    prices = {"m-1": Price.of("2.50"), "m-2": Price.of("1.80")}
    for name in ("b-refused", "b-settled", "b-cashed-out", "b-open"):
        asked = place(name, 50, "m-1 2.50, m-2 1.80", system_size=1 if name == "b-settled" else None)
        document = hold_stake(document, asked, START, POLICY).player
        if name == "b-refused":
            refused = Refused(reason=Refusal.PRICE_CHANGED, message="moved", metadata={"price": "2.40"})
            document = release_stake(document, name, refused, START).player
        document = accept_bet(document, name, prices).player
    document = cash_out(document, "b-cashed-out", prices, None, START, POLICY).player
    shared = outcome("won", deduction=10, dead_heat={"places": 1, "tied": 2})
    for market_id, bets in (("m-1", ["b-settled", "b-open"]), ("m-2", ["b-settled"])):
        result = ApplyResult(
            market_id=market_id, version=1, outcomes={"home": shared}, bet_ids=bets, now=START, by=TRADER
        )
        document = apply_result(document, result).player
    return document


def market_and_shard() -> tuple[Market, Shard]:
    """A settled market, and a shard of it with a bet."""
    selections = ({"selection_id": "home", "name": "Home", "price": "2.50"},)
    offer = {"name": "A game", "selections": selections, "max_stake": 1_000, "max_liability": 10_000}
    market = open_market(None, "m-1", OpenMarket.model_validate({**offer, "bet_delay_seconds": 5}))
    assert isinstance(market, Market)
    market = begin_round(join(market, 3), 0)
    asked = ReserveLeg(
        user_id="u-1",
        bet_id="b-1",
        selection_id="home",
        price=Price.of("2.50"),
        price_change=PriceChange.NONE,
        stake=100,
        potential_return=250,
        delayed=True,
    )
    shard = apply_terms(None, market.terms)
    wanted = lease_wanted(shard, asked)
    assert wanted is not None
    market, held = lease(market, 3, wanted)
    shard, _ = reserve(with_lease(shard, "home", held), asked)
    settled = settle(market, SettleMarket(version=1, outcomes={"home": outcome("won")}))
    assert isinstance(settled, Market)
    return settled.made(ChangeKind.RESULT, TRADER), shard


def feed_and_quarantine() -> tuple[Feed, Quarantine]:
    """A market's feed that has set a price and where another one waits, and a quarantine that has just become full."""
    origin = Origin(topic="markets", partition=0, offset=7, timestamp=START)
    feed = arrived(Feed(), origin)
    feed = applied(feed, Record(RecordType.SET_PRICES, PricesRequest(prices={"home": Price.of("2.50")})), 1)
    new_price = b'{"type": "setPrices", "content": {"prices": {"home": "2.60"}}}'
    feed = wait(arrived(feed, origin), new_price, origin)
    no = Rejection(reason="market_not_open", message="this market is closed")
    quarantine = park(Quarantine(), record_to_park("m-1", b"{}", 1, no, origin, START))
    for number in range(2, MAX_PARKED + 2):
        dropped = record_to_park("m-1", b"{}", number, no, origin.model_copy(update={"offset": number + 7}), START)
        quarantine = park(quarantine, dropped)
    few = {record_id: quarantine.parked[record_id] for record_id in ("1", "2")}
    return feed, quarantine.model_copy(update={"parked": few})


def everything() -> dict[str, State]:
    """One of each document that this version stores."""
    document = busy_player()
    market, shard = market_and_shard()
    feed, quarantine = feed_and_quarantine()
    charge = ChargeRequest(
        reference="d-1", user_id="u-1", wallet_id="w-1", amount=100, currency="EUR", payment_method="threeDSecure"
    )
    event = PaymentEvent(
        reference="d-1", status=EventStatus.DONE, user_id="u-1", wallet_id="w-1", amount=100, currency="EUR"
    )
    return {
        "player": document,
        "follow-up": FollowUp(
            charge=charge,
            reserved_at=START,
            phase=Phase.LOOKING_UP,
            redirect_url="http://x",
            tries=2,
            early_event=event,
        ),
        "payout": FollowedPayout(
            order=WithdrawalOrder(withdrawal_id="x-held", user_id="u-1", withdrawal=document.withdrawals["x-held"]),
            review=REVIEW,
            search=Search(window_end=START, tries=2, never_seen_at=START),
            turn=3,
        ),
        "archive-index": ArchiveIndex().with_page(["deposits/d-1", "withdrawals/x-1"]),
        "archive-page": ArchivePage(deposits=document.deposits, withdrawals=document.withdrawals, bets=document.bets),
        "statement-page": StatementPage(entries=document.entries),
        "market": market,
        "book": shard,
        "market-feed": feed,
        "market-quarantine": quarantine,
    }


def files() -> list[Path]:
    return sorted(FOLDER.glob("*/*.json"))


def of_old(written: Any, stored: Any) -> Any:
    """What is written without the fields that were not there when it was stored, and with the empty ones that were."""
    if isinstance(stored, dict):
        left_out = {name: value for name, value in stored.items() if not value and name not in written}
        kept = {name: of_old(written[name], value) for name, value in stored.items() if name not in left_out}
        return kept | left_out
    if isinstance(stored, list):
        return [of_old(new, old) for new, old in zip(written, stored, strict=True)]
    return written


@pytest.mark.parametrize("file", files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_state_of_every_version_loads_and_nothing_of_it_is_lost(file: Path) -> None:
    stored = json.loads(file.read_text())

    loaded = KINDS[file.stem].model_validate_json(file.read_text())

    written = json.loads(loaded.model_dump_json())
    assert of_old(written, stored) == stored


@pytest.mark.parametrize("file", files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_fields_of_a_newer_version_are_kept(file: Path) -> None:
    newer = json.loads(file.read_text()) | {"fieldOfTomorrow": {"a": [1]}}

    written = json.loads(KINDS[file.stem].model_validate(newer).model_dump_json())

    assert written["fieldOfTomorrow"] == {"a": [1]}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/player.json")), ids=lambda file: file.parent.name)
def test_books_of_every_version_are_balanced(file: Path) -> None:
    assert audit(Player.model_validate_json(file.read_text())).balanced


def test_this_version_stores_nothing_that_the_files_do_not_show() -> None:
    newest = files()[-1].parent
    for name, document in everything().items():
        stored = json.loads((newest / f"{name}.json").read_text())
        assert stored == json.loads(document.model_dump_json()), f"write a new version's files: python -m {__name__}"


if __name__ == "__main__":
    version = FOLDER / f"v{len(list(FOLDER.glob('v*'))) + 1}"
    version.mkdir(parents=True)
    for name, document in everything().items():
        (version / f"{name}.json").write_text(document.model_dump_json(indent=1) + "\n")
