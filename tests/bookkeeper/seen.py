"""What a bookkeeper has seen in one look."""

from datetime import UTC, datetime

from app.bookkeeper.books import Books, Waiting, balances_of
from app.bookkeeper.reconcile import Difference, Reconciliation
from app.bookkeeper.stranded import Kind, Strandings

SEEN = datetime(2026, 1, 1, tzinfo=UTC)
EARLIER = datetime(2025, 12, 31, tzinfo=UTC)
LOOK = Books(
    seen_at=SEEN,
    players=7,
    sampled=5,
    disagreeing=(),
    balances=balances_of(
        {"currency": "EUR", "account": account, "balance": balance} for account, balance in (("cash", 9), ("house", -9))
    ),
    unbalanced_wallets=0,
    unbalanced_examples=(),
    players_in_debt=1,
    open_markets=2,
    liability={"EUR": 300, "JPY": 20},
    deposits=Waiting(3, EARLIER),
    withdrawals=Waiting(4, EARLIER),
    settlements=Waiting(6, EARLIER),
    settlement_bets_left=50,
    seconds=2.5,
    stranded=Strandings({Kind.BET: 2}),
    reconciled=Reconciliation(EARLIER, 12, dict.fromkeys(Difference, 0) | {Difference.NOT_HERE: 1}, ()),
)
