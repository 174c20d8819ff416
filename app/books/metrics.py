"""What the bookkeeper saw last, for Prometheus: all numbers of one look, and none before the first."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.books.books import Books, Waiting


class Exported(Collector):
    """The last complete look. One that saw not everything changes nothing, so that the timestamp tells its age."""

    def __init__(self) -> None:
        self._books: Books | None = None

    def show(self, books: Books) -> None:
        """Replace what was seen before, all at once."""
        self._books = books

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every series of the last look."""
        if (books := self._books) is not None:
            yield from _families(books)


def _families(books: Books) -> Iterator[GaugeMetricFamily]:
    yield _gauge("books_timestamp_seconds", "When the bookkeeper last saw everything", books.seen_at.timestamp())
    yield _gauge(
        "books_balanced", "1 if all wallets and all sampled players' movements balance, else 0", books.balanced
    )
    yield _gauge("books_players", "Players that there are", books.players)
    yield _gauge("books_sampled_players", "Players whose movements were added up again", books.sampled)
    yield _balances(books)
    yield _gauge("players_in_debt", "Players with a wallet below zero", books.players_in_debt)
    yield _gauge("open_markets", "Markets that have no result yet", books.open_markets)
    yield _gauge(
        "open_market_liability_minor_units",
        "What the house loses if in each of them the selection wins that costs it most",
        books.liability,
    )
    yield _gauge("deposits_unknown", "Deposits reserved longer than the charge wait", books.deposits.count)
    yield from _oldest("deposits_unknown", books.deposits)
    yield _gauge("withdrawals_held", "Withdrawals neither paid nor returned yet", books.withdrawals.count)
    yield from _oldest("withdrawals_held", books.withdrawals)
    yield _gauge("settlements_running", "Results that are not carried out on every bet yet", books.settlements.count)
    yield from _oldest("settlement", books.settlements)
    yield _gauge("settlement_bets_left", "Bets that these still have to settle", books.settlement_bets_left)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"betting_{name}", what, value=value)


def _balances(books: Books) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "betting_wallet_minor_units", "What all wallets together hold on an account", labels=["account", "currency"]
    )
    for currency, accounts in books.balances.items():
        for account, balance in accounts.items():
            family.add_metric([account, currency], balance)
    return family


def _oldest(name: str, waiting: Waiting) -> Iterator[GaugeMetricFamily]:
    if waiting.oldest is not None:
        yield _gauge(
            f"{name}_oldest_timestamp_seconds", "Since when the oldest of them waits", waiting.oldest.timestamp()
        )
