"""What a look becomes for Prometheus, and that all of it is documented."""

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.bookkeeper.books import Books, Waiting
from app.bookkeeper.metrics import Exported
from app.bookkeeper.reconcile import Difference
from app.bookkeeper.stranded import Kind, Stranded
from tests.bookkeeper.seen import EARLIER, LOOK, SEEN

NUMBERS = {
    "betting_books_timestamp_seconds": SEEN.timestamp(),
    "betting_books_look_seconds": 2.5,
    "betting_books_balanced": 1,
    "betting_books_players": 7,
    "betting_books_unreadable_documents": 0,
    "betting_books_sampled_players": 5,
    "betting_players_in_debt": 1,
    "betting_open_markets": 2,
    "betting_deposits_unknown": 3,
    "betting_deposits_unknown_oldest_timestamp_seconds": EARLIER.timestamp(),
    "betting_withdrawals_held": 4,
    "betting_withdrawals_held_oldest_timestamp_seconds": EARLIER.timestamp(),
    "betting_settlements_running": 6,
    "betting_settlement_oldest_timestamp_seconds": EARLIER.timestamp(),
    "betting_settlement_bets_left": 50,
    "betting_reconciled_timestamp_seconds": EARLIER.timestamp(),
    "betting_provider_compared": 0,
}


def exported(books: Books) -> CollectorRegistry:
    registry = CollectorRegistry()
    collector = Exported()
    registry.register(collector)
    collector.show(books)
    return registry


def numbers(books: Books) -> dict[str, float]:
    """Those without labels."""
    return {
        sample.name: sample.value
        for family in exported(books).collect()
        for sample in family.samples
        if not sample.labels
    }


def test_every_number_of_a_look_is_exported() -> None:
    assert numbers(LOOK) == NUMBERS


def test_what_wallets_hold_is_exported_by_account_and_currency_also_where_it_is_nothing() -> None:
    [family] = [known for known in exported(LOOK).collect() if known.name == "betting_wallet_minor_units"]

    held = {(sample.labels["account"], sample.labels["currency"]): sample.value for sample in family.samples}
    nothing = dict.fromkeys([(account, "EUR") for account in ("locked", "pendingOut", "provider", "adjustment")], 0)
    assert held == {("cash", "EUR"): 9, ("house", "EUR"): -9, **nothing}


def test_the_liability_of_open_markets_is_exported_by_currency() -> None:
    [family] = [known for known in exported(LOOK).collect() if known.name.startswith("betting_open_market_liability")]

    assert {sample.labels["currency"]: sample.value for sample in family.samples} == {"EUR": 300, "JPY": 20}


def test_what_is_stranded_is_exported_by_kind_also_where_nothing_is() -> None:
    [family] = [known for known in exported(LOOK).collect() if known.name == "betting_stranded"]

    stranded = {sample.labels["kind"]: sample.value for sample in family.samples}
    assert stranded == dict.fromkeys(map(str, Kind), 0) | {"bet": 2}


def test_repairs_are_counted_by_kind_from_the_first_look_on() -> None:
    registry, collector = CollectorRegistry(), Exported()
    registry.register(collector)
    collector.show(LOOK)

    def counted() -> dict[str, float | None]:
        return {kind: registry.get_sample_value("betting_repairs_total", {"kind": kind}) for kind in Kind}

    none = dict.fromkeys(Kind, 0)
    assert counted() == none
    collector.count([Stranded(Kind.BET, {"userId": "ann", "betId": name}, SEEN) for name in ("a", "b")])
    assert counted() == none | {Kind.BET: 2}


def test_differences_are_exported_by_kind_and_stay_while_the_provider_does_not_answer() -> None:
    registry, collector = CollectorRegistry(), Exported()
    registry.register(collector)
    collector.show(replace(LOOK, reconciled=None))
    assert "betting_reconciled_timestamp_seconds" not in {family.name for family in registry.collect()}

    collector.show(LOOK)
    collector.show(replace(LOOK, reconciled=None))

    names = {
        each: registry.get_sample_value("betting_provider_differences", {"difference": each}) for each in Difference
    }
    assert names == {Difference.NOT_HERE: 1, Difference.NOT_THERE: 0, Difference.OTHER: 0}


def test_whether_there_is_a_provider_is_told_also_before_it_was_compared() -> None:
    registry, collector = CollectorRegistry(), Exported(compares=True)
    registry.register(collector)
    assert registry.get_sample_value("betting_provider_compared") is None

    collector.show(replace(LOOK, reconciled=None))

    assert registry.get_sample_value("betting_provider_compared") == 1


def test_a_scrape_that_has_begun_ends_with_the_comparison_of_the_same_look() -> None:
    collector = Exported(compares=True)
    collector.show(replace(LOOK, reconciled=None))
    scrape = collector.collect()
    next(scrape)

    collector.show(LOOK)

    assert "betting_reconciled_timestamp_seconds" not in {family.name for family in scrape}


def test_books_that_add_up_and_differ_from_the_provider_are_not_balanced_and_add_up() -> None:
    assert (LOOK.adds_up, LOOK.balanced) == (True, False)
    assert replace(LOOK, reconciled=None).balanced


def test_where_nothing_waits_there_is_no_oldest() -> None:
    none = Waiting(0, None)

    names = numbers(replace(LOOK, deposits=none, withdrawals=none, settlements=none))

    assert {name for name in names if "oldest" in name} == set()
    assert names["betting_settlements_running"] == 0


def test_any_of_three_signs_is_enough_for_books_not_to_balance() -> None:
    wrong = (
        replace(LOOK, disagreeing=("ann",)),
        replace(LOOK, unbalanced_wallets=1, unbalanced_examples=("player ann: wallet w sums to 1",)),
        replace(LOOK, balances={"EUR": {"cash": 1}}),
    )

    assert [numbers(look)["betting_books_balanced"] for look in wrong] == [0, 0, 0]


def test_documents_that_cannot_be_read_are_counted_and_books_without_them_still_add_up() -> None:
    told = numbers(replace(LOOK, unreadable=2, unreadable_players=("ann", "bob")))

    assert (told["betting_books_unreadable_documents"], told["betting_books_balanced"]) == (2, 1)


def test_more_than_are_named_are_counted() -> None:
    [*named, more] = replace(LOOK, reconciled=None, unreadable=12, unreadable_players=("ann", "bob")).wrong

    assert [one.split(":")[0] for one in named] == ["player ann", "player bob"]
    assert more == "10 more documents of players cannot be read"


def test_every_number_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = re.findall(
        r"^\| `(betting_\w+)` \| (?:gauge|counter) \|([^|]*)\|", text.split("## Bookkeeper")[1], re.MULTILINE
    )

    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert documented.pop("betting_wallet_minor_units") == {"account", "currency"}
    assert documented.pop("betting_open_market_liability_minor_units") == {"currency"}
    assert documented.pop("betting_stranded") == {"kind"}
    assert documented.pop("betting_repairs_total") == {"kind"}
    assert documented.pop("betting_provider_differences") == {"difference"}
    assert documented == {name: set() for name in NUMBERS}
