"""The provider's movements beside the books': what agrees is let go, what differs is found once it is old enough."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bookkeeper import queries, reconciling
from app.bookkeeper.reconcile import (
    Difference,
    Key,
    Matter,
    Moved,
    Open,
    Side,
    moved_here,
    moved_there,
    reconciliation,
)
from app.bookkeeper.reconciling import Reconciler
from app.domain.model import iso
from app.domain.payments import OF_CHARGES, OF_PAYOUTS, Movement, MovementKind, MovementPage
from app.domain.wallet import Kind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key(Matter.CHARGE, "d", "ann")
LATER = NOW + timedelta(seconds=1)


def there(kind: MovementKind = MovementKind.CHARGE, amount: int = 500, at: datetime = NOW, **more: str) -> Movement:
    named = {"reference": "d", "user_id": "ann", "wallet_id": "w", "currency": "EUR"} | more
    return Movement(kind=kind, amount=amount, at=at, **named)


def here(posting: int = -500, kind: Kind = Kind.DEPOSIT, at: datetime = NOW, **more: str) -> Moved:
    named = {"reference": "d", "user_id": "ann", "currency": "EUR"} | more
    return moved_here(kind, posting=posting, at=at, **named)


def differs(*moved: Moved | Movement, before: datetime = LATER) -> dict[Key, Difference]:
    open_ = Open()
    for one in moved:
        open_.enter(one if isinstance(one, Moved) else moved_there(one))
    return {key: finding.difference for key, finding in open_.older_than(before).items()}


@pytest.mark.parametrize(
    ("moved", "difference"),
    [
        ((there(), here()), None),
        ((here(), there()), None),
        ((there(),), Difference.NOT_HERE),
        ((here(),), Difference.NOT_THERE),
        ((there(), here(-400)), Difference.OTHER),
        ((there(currency="SEK"), here()), Difference.OTHER),
        ((there(), here(), there(MovementKind.CHARGEBACK)), Difference.NOT_HERE),
        ((there(), here(), there(MovementKind.CHARGEBACK), here(500)), None),
        ((there(), there(MovementKind.REFUND)), None),
        ((there(), here(), here()), Difference.NOT_THERE),
        ((there(), there(MovementKind.CHARGEBACK), there(MovementKind.CHARGEBACK_REVERSED), here()), None),
    ],
)
def test_a_charge_its_refunds_and_chargebacks_come_to_what_the_books_have(
    moved: tuple[Moved | Movement, ...], difference: Difference | None
) -> None:
    assert differs(*moved) == ({} if difference is None else {KEY: difference})


def test_a_payout_and_its_coming_back_come_to_what_the_books_have() -> None:
    paid, back = there(MovementKind.PAYOUT), there(MovementKind.SENT_BACK)

    assert differs(paid, here(500, Kind.WITHDRAWAL_PAID)) == {}
    assert differs(paid, back) == {}
    assert differs(paid, here(500, Kind.WITHDRAWAL_PAID), back) == {KEY._replace(matter=Matter.PAYOUT): "notHere"}


def test_a_deposit_and_a_withdrawal_of_one_name_are_two_matters() -> None:
    assert differs(there(), here(500, Kind.WITHDRAWAL_PAID)) == {
        KEY: Difference.NOT_HERE,
        KEY._replace(matter=Matter.PAYOUT): Difference.NOT_THERE,
    }


def test_a_credit_to_another_player_than_was_charged_is_two_findings() -> None:
    assert differs(there(), here(user_id="bob")) == {
        KEY: Difference.NOT_HERE,
        KEY._replace(user_id="bob"): Difference.NOT_THERE,
    }


def test_only_what_both_sides_have_had_for_longer_than_the_grace_counts() -> None:
    assert differs(there(at=LATER), before=LATER) == {}
    assert differs(there(), before=LATER) == {KEY: Difference.NOT_HERE}


def test_a_movement_that_follows_makes_all_of_its_matter_young_again() -> None:
    assert differs(there(), there(MovementKind.REFUND, 100, LATER), before=LATER) == {}


@pytest.mark.parametrize("kind", MovementKind)
def test_every_movement_is_of_a_charge_or_of_a_payout(kind: MovementKind) -> None:
    assert moved_there(there(kind)).key.matter is (Matter.CHARGE if kind in OF_CHARGES else Matter.PAYOUT)
    assert kind in OF_CHARGES | OF_PAYOUTS


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), max_size=12), st.randoms())
def test_two_sides_that_say_the_same_agree_in_whatever_order_they_say_it(
    moved: list[tuple[str, int]], random: Any
) -> None:
    both = [there(amount=amount, reference=name) for name, amount in moved]
    both += [here(-amount, reference=name) for name, amount in moved]  # type: ignore[misc]
    random.shuffle(both)

    assert differs(*both) == {}


def test_findings_are_told_the_oldest_first_and_as_many_as_can_be_read() -> None:
    open_ = Open()
    for number in range(9):
        open_.enter(moved_there(there(reference=f"d{number}", at=NOW - timedelta(seconds=number))))

    told = reconciliation(NOW, 9, open_.older_than(LATER), named=2)
    assert told.count == 9
    assert [finding.key.reference for finding in told.first] == ["d8", "d7"]


def test_more_differences_than_anybody_can_read_end_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.bookkeeper.reconcile.MAX_OPEN", 3)

    with pytest.raises(ValueError, match="more than 3 references differ"):
        differs(*(there(reference=f"d{number}") for number in range(4)))


class Both:
    """A provider and books, in memory; the clock is the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.there: list[Movement] = []
        self.here: list[Moved] = []
        self.asked_since: list[datetime] = []
        self.spans: list[tuple[str, str]] = []
        self.reconciler = Reconciler(self, timedelta(seconds=60))
        monkeypatch.setattr(reconciling, "_now", lambda: self.now)
        monkeypatch.setattr(reconciling, "AGAIN_SECONDS", 0)

    async def charges_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        self.asked_since.append(moment)
        return self._page(OF_CHARGES, moment, cursor)

    async def payouts_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        return self._page(OF_PAYOUTS, moment, cursor)

    def _page(self, kinds: frozenset[MovementKind], moment: datetime, cursor: str | None) -> MovementPage:
        found = [movement for movement in self.there if movement.kind in kinds and movement.at >= moment]
        first = int(cursor or 0)
        following = str(first + 2) if len(found) > first + 2 else None
        return MovementPage(movements=tuple(found[first : first + 2]), next=following)

    async def query(self, sql: str) -> Sequence[dict[str, Any]]:
        if sql == queries.HOURS:
            hours = Counter(iso(moved.at)[:13] for moved in self.here)
            return [{"hour": hour, "entries": entries} for hour, entries in hours.items()]
        [since] = re.findall(r"at >= '([^']+)'", sql)
        [until] = re.findall(r"at < '([^']+)'", sql)
        self.spans.append((since, until))
        return [
            {
                "kind": "deposit",
                "reference": moved.key.reference,
                "player": moved.key.user_id,
                "wallet": "w",
                "posting": -moved.amount,
                "currency": moved.currency,
                "at": iso(moved.at),
                "seq": number,
            }
            for number, moved in enumerate(self.here)
            if since <= iso(moved.at) < until
        ]

    async def look(self, after_seconds: float = 0) -> set[str]:
        self.now += timedelta(seconds=after_seconds)
        return {finding.key.reference for finding in (await self.reconciler.look(self.query)).first}


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(monkeypatch)


async def test_a_look_asks_for_everything_and_the_next_ones_for_what_is_new(both: Both) -> None:
    both.there, both.here = [there(reference=f"d{n}") for n in range(5)], [here(reference=f"d{n}") for n in range(5)]

    assert await both.look(90) == set()
    assert await both.look(30) == set()
    first, *others = both.asked_since
    assert first == reconciling.BEGINNING
    assert set(others[2:]) == {NOW + timedelta(seconds=30)}


async def test_everything_is_read_in_spans_of_a_bounded_number_of_entries(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "ENTRIES_AT_ONCE", 2)
    for hour in range(5):
        at = NOW + timedelta(hours=hour)
        both.there.append(there(reference=f"d{hour}", at=at))
        both.here.append(here(reference=f"d{hour}", at=at))

    assert await both.look(86_400) == set()

    spans = list(dict.fromkeys(both.spans))
    assert [since for since, _ in spans] == [iso(reconciling.BEGINNING), "2026-01-01T02", "2026-01-01T04"]


async def test_a_charge_without_a_credit_is_found_by_the_first_look_and_stays_found(both: Both) -> None:
    both.there.append(there())

    assert await both.look(59) == set()
    assert await both.look(2) == {"d"}
    assert await both.look(60) == {"d"}
    assert await both.look(3600) == {"d"}


async def test_a_difference_that_comes_later_is_found_by_a_later_look(both: Both) -> None:
    assert await both.look() == set()
    both.there.append(there(at=both.now + timedelta(seconds=10)))
    assert await both.look(30) == set()
    assert await both.look(30) == set()
    assert await both.look(30) == {"d"}
    both.here.append(here(at=both.now))
    assert await both.look(30) == set()


async def test_an_entry_that_was_stored_long_after_its_time_is_no_finding(both: Both) -> None:
    await both.look(300)
    both.here.append(here(at=NOW))  # the looks are past that moment
    both.there.append(there(at=NOW + timedelta(seconds=250)))

    assert await both.look(60) == set()


async def test_what_was_found_and_has_been_mended_by_an_entry_with_an_older_time_is_let_go_in_a_while(
    both: Both,
) -> None:
    both.there.append(there())
    assert await both.look(300) == {"d"}
    both.here.append(here(at=NOW))

    assert await both.look(60) == {"d"}
    assert await both.look(600) == set()


async def test_what_differs_once_and_agrees_when_all_is_compared_again_is_not_told(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.there.append(there())

    async def meanwhile(seconds: float) -> None:
        both.here.append(here())

    monkeypatch.setattr("app.bookkeeper.reconciling.asyncio.sleep", meanwhile)

    assert await both.look(90) == set()


async def test_what_a_restore_takes_from_the_books_is_found_at_once_by_who_starts_anew_and_in_a_day_by_who_goes_on(
    both: Both,
) -> None:
    both.there, both.here = [there()], [here()]
    assert await both.look(300) == set()
    both.here.clear()

    assert await both.look(3600) == set()
    both.reconciler, went_on = Reconciler(both, timedelta(seconds=60)), both.reconciler
    assert await both.look() == {"d"}
    both.reconciler = went_on
    assert await both.look(24 * 3600) == {"d"}


def test_a_side_is_the_providers_or_the_books() -> None:
    assert (moved_there(there()).side, here().side) == (Side.PROVIDER, Side.BOOKS)
