"""What the bookkeeper saw last, for Prometheus: all numbers of one look, and none before the first."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.bookkeeper.books import Books, Waiting
from app.bookkeeper.reconcile import Difference, Reconciliation
from app.bookkeeper.stranded import Kind, Stranded, Strandings


class Exported(Collector):
    """The last complete look. One that saw not everything changes nothing, so that the timestamp tells its age."""

    def __init__(self, compares: bool = False) -> None:
        """Export nothing yet. `compares` says whether there is a provider to compare the books with."""
        self._compares = compares
        self._seen: tuple[Books, Reconciliation | None] | None = None
        """The last look and the last comparison, as one value: a scrape comes from another thread, at any moment."""
        self._repairs: Counter[Kind] = Counter()

    def show(self, books: Books) -> None:
        """Replace what was seen before, all at once; what the provider did not tell stays, with its moment."""
        before = self._seen[1] if self._seen else None
        self._seen = books, before if books.reconciled is None else books.reconciled

    def count(self, repaired: Iterable[Stranded]) -> None:
        """Count what was sent on."""
        self._repairs.update(thing.kind for thing in repaired)

    def collect(self) -> Iterator[Metric]:
        """Every series of the last look, and what was done about it since the start."""
        if self._seen is None:
            return
        books, reconciled = self._seen
        yield from _families(books)
        yield _repairs(self._repairs)
        yield _gauge("provider_compared", "1 if the books are compared with a provider, else 0", self._compares)
        if reconciled is not None:
            yield from _reconciled(reconciled)


def _families(books: Books) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "books_timestamp_seconds", "Time of the last complete look, in Unix seconds", books.seen_at.timestamp()
    )
    yield _gauge("books_look_seconds", "How long that look took", books.seconds)
    yield _gauge("books_balanced", "1 if all wallets and all sampled players' movements balance, else 0", books.adds_up)
    yield _gauge("books_players", "Number of players", books.players)
    yield _gauge("books_unreadable_documents", "Documents of players that cannot be read", books.unreadable)
    yield _gauge("books_sampled_players", "Players whose movements were audited in the last look", books.sampled)
    yield _balances(books)
    yield _gauge("players_in_debt", "Players with a wallet below zero", books.players_in_debt)
    yield _gauge("open_markets", "Markets without a result", books.open_markets)
    yield _liability(books.liability)
    yield _gauge("deposits_unknown", "Deposits reserved longer than the charge wait", books.deposits.count)
    yield from _oldest("deposits_unknown", books.deposits)
    yield _gauge("withdrawals_held", "Withdrawals neither paid nor returned yet", books.withdrawals.count)
    yield from _oldest("withdrawals_held", books.withdrawals)
    yield _gauge("settlements_running", "Results that are not applied to every bet yet", books.settlements.count)
    yield from _oldest("settlement", books.settlements)
    yield _gauge(
        "settlement_bets_left", "Bets that running settlements have not reached yet", books.settlement_bets_left
    )
    yield _stranded(books.stranded)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"betting_{name}", what, value=value)


def _balances(books: Books) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "betting_wallet_minor_units",
        "Balance of all wallets on an account, in minor units",
        labels=["account", "currency"],
    )
    for currency, accounts in books.balances.items():
        for account, balance in accounts.items():
            family.add_metric([account, currency], balance)
    return family


def _liability(by_currency: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "betting_open_market_liability_minor_units",
        "Loss of the house if the worst selection of each open market wins, in minor units",
        labels=["currency"],
    )
    for currency, amount in by_currency.items():
        family.add_metric([currency], amount)
    return family


def _stranded(stranded: Strandings) -> GaugeMetricFamily:
    family = GaugeMetricFamily("betting_stranded", "Unfinished operations that no invocation works on", labels=["kind"])
    for kind in Kind:
        family.add_metric([kind], stranded.totals.get(kind, 0))
    return family


def _repairs(repairs: Mapping[Kind, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(
        "betting_repairs", "Stranded operations that the bookkeeper has sent on", labels=["kind"]
    )
    for kind in Kind:
        family.add_metric([kind], repairs[kind])
    return family


def _reconciled(reconciled: Reconciliation) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "reconciled_timestamp_seconds",
        "Time of the last comparison with the provider, in Unix seconds",
        reconciled.seen_at.timestamp(),
    )
    family = GaugeMetricFamily(
        "betting_provider_differences", "References on which the books and the provider differ", labels=["difference"]
    )
    for difference in Difference:
        family.add_metric([difference], reconciled.totals[difference])
    yield family


def _oldest(name: str, waiting: Waiting) -> Iterator[GaugeMetricFamily]:
    if waiting.oldest is not None:
        yield _gauge(
            f"{name}_oldest_timestamp_seconds",
            "Start of the oldest one's wait, in Unix seconds",
            waiting.oldest.timestamp(),
        )
