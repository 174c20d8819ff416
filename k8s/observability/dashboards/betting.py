"""Whether money flows, and whether customers wait."""

from k8s.observability.dashboards.model import Board, Look, Panel, Query, Section, Unit, one
from k8s.observability.dashboards.promql import (
    CUSTOMERS,
    PROMPT,
    a_minute,
    a_second,
    age,
    over_range,
    quantile,
    series,
    total,
)

PODS_UP = series("up", 'job="betting-service"')
HANDLERS = "betting_handler_duration_seconds"
MOVES_MONEY, UNKNOWN = 'call=~"charge|pay_out"', 'outcome="unknown"'
CALLS = "betting_provider_calls_total"
NO_UNKNOWN = "no deposit is of unknown outcome"
NO_HELD = "no withdrawal is held"
NO_SETTLEMENT = "no settlement runs"

NOW = Section(
    "At a glance",
    (
        Panel(
            "Pods that answer",
            "Pods of the service, of all versions, that Prometheus reaches. Red: nobody is served.",
            one(f"sum({PODS_UP})"),
            look=Look.NUMBER,
            width=3,
            height=4,
            bad_below=1,
        ),
        Panel(
            "Books",
            "Whether every audited player's book and the sum of all wallets' accounts balance. Red: stop paying out.",
            one(f"min({series('betting_books_balanced')})"),
            look=Look.NUMBER,
            width=3,
            height=4,
            bad_below=1,
            words={0: "NOT BALANCED", 1: "balanced"},
        ),
        Panel(
            "Credited",
            "Deposits credited in the time looked at, in minor units of each currency.",
            one(over_range("betting_deposited_minor_units_total", by="currency"), "{{currency}}"),
            look=Look.NUMBER,
            width=3,
            height=4,
        ),
        Panel(
            "Paid out",
            "Withdrawals paid out in the time looked at, in minor units of each currency.",
            one(over_range("betting_withdrawn_minor_units_total", by="currency"), "{{currency}}"),
            look=Look.NUMBER,
            width=3,
            height=4,
        ),
        Panel(
            "Bets a minute",
            "Bets that were accepted.",
            one(a_minute("betting_bets_total", 'outcome="accepted"')),
            Unit.A_MINUTE,
            Look.NUMBER,
            width=3,
            height=4,
        ),
        Panel(
            "p95 latency",
            "95th percentile of what customers call; a deposit waits for the provider.",
            one(quantile(0.95, HANDLERS, CUSTOMERS), empty="nothing ended lately"),
            Unit.SECONDS,
            Look.NUMBER,
            width=3,
            height=4,
            bad_from=5,
        ),
        Panel(
            "Unknown outcomes",
            "Share of charges and payouts whose outcome the payment provider could not tell. They are looked up later.",
            one(
                f"({a_second(CALLS, MOVES_MONEY, UNKNOWN)} or vector(0)) / {a_second(CALLS, MOVES_MONEY)} >= 0",
                empty="nothing was charged or paid out lately",
            ),
            Unit.SHARE,
            Look.NUMBER,
            width=3,
            height=4,
            bad_from=0.2,
        ),
        Panel(
            "Paused",
            "Paused invocations; each also holds its player or market. `betting release why VERSION` names them.",
            one(total("betting_release_paused")),
            look=Look.NUMBER,
            width=3,
            height=4,
            bad_from=1,
        ),
        Panel(
            "Unknown deposits",
            "Deposits reserved for longer than the charge may take, whose outcome is being looked up.",
            one(total("betting_deposits_unknown")),
            look=Look.NUMBER,
            width=4,
            height=3,
        ),
        Panel(
            "Oldest unknown deposit",
            "Its age. The last look-up is after three days; then it ends as failed.",
            one(age("betting_deposits_unknown_oldest_timestamp_seconds"), empty=NO_UNKNOWN),
            Unit.SECONDS,
            Look.NUMBER,
            width=4,
            height=3,
            bad_from=7_200,
            nothing="none",
        ),
        Panel(
            "Withdrawals held",
            "Withdrawals whose money is set aside: in review, or on their way out.",
            one(total("betting_withdrawals_held")),
            look=Look.NUMBER,
            width=4,
            height=3,
        ),
        Panel(
            "Oldest held withdrawal",
            "Its age. A review that nobody decides ends after a day, and the money goes back.",
            one(age("betting_withdrawals_held_oldest_timestamp_seconds"), empty=NO_HELD),
            Unit.SECONDS,
            Look.NUMBER,
            width=4,
            height=3,
            bad_from=90_000,
            nothing="none",
        ),
        Panel(
            "Bets to settle",
            "Bets that running settlements have not reached yet.",
            one(total("betting_settlement_bets_left")),
            look=Look.NUMBER,
            width=4,
            height=3,
        ),
        Panel(
            "Oldest settlement",
            "How long the oldest running settlement has been running.",
            one(age("betting_settlement_oldest_timestamp_seconds"), empty=NO_SETTLEMENT),
            Unit.SECONDS,
            Look.NUMBER,
            width=4,
            height=3,
            bad_from=1_800,
            nothing="none",
        ),
    ),
)

MONEY = Section(
    "Money",
    (
        Panel(
            "In and out, minor units a minute",
            "Deposits credited, and withdrawals paid out.",
            (
                Query(a_minute("betting_deposited_minor_units_total", by="currency"), "in {{currency}}"),
                Query(a_minute("betting_withdrawn_minor_units_total", by="currency"), "out {{currency}}"),
            ),
        ),
        Panel(
            "Staked and returned, minor units a minute",
            "Stakes of accepted bets; what settlement, cash-outs and corrections returned; what corrections took back.",
            (
                Query(a_minute("betting_staked_minor_units_total", by="currency"), "staked {{currency}}"),
                Query(a_minute("betting_returned_minor_units_total", by="currency"), "returned {{currency}}"),
                Query(
                    a_minute("betting_taken_back_minor_units_total", by="currency"),
                    "taken back {{currency}}",
                    empty="no result was corrected downwards",
                ),
            ),
        ),
        Panel(
            "All wallets, minor units",
            "The accounts of all players' books: cash to play with, locked in bets, on its way out; and where it came "
            "from. They add up to zero in each currency.",
            one(total("betting_wallet_minor_units", by="account,currency"), "{{account}} {{currency}}"),
        ),
        Panel(
            "Books balanced",
            "1 while every audited book and the sum of all accounts balance.",
            one(f"min({series('betting_books_balanced')})", "balanced"),
            width=6,
            height=6,
        ),
        Panel(
            "Age of the books",
            "Time since the bookkeeper last saw everything; its numbers are that old.",
            one(age("betting_books_timestamp_seconds"), "ago"),
            Unit.SECONDS,
            width=6,
            height=6,
        ),
        Panel(
            "Players",
            "All players, and those whose books the last look audited.",
            (
                Query(total("betting_books_players"), "players"),
                Query(total("betting_books_sampled_players"), "audited"),
            ),
            width=6,
            height=6,
        ),
        Panel(
            "Players in debt",
            "Players who owe more than they have, by corrections of results; they can deposit, and not bet.",
            one(total("betting_players_in_debt"), "in debt"),
            width=6,
            height=6,
        ),
    ),
)

BETS = Section(
    "Bets and settlement",
    (
        Panel(
            "Bets a minute",
            "Bets accepted, refused and cashed out.",
            one(a_minute("betting_bets_total", by="outcome"), "{{outcome}}"),
            Unit.A_MINUTE,
        ),
        Panel(
            "Refused, by reason, a minute",
            "Refusals by reason (docs/api.md).",
            (
                Query(a_minute("betting_bets_total", 'outcome="refused"', by="reason"), "bet: {{reason}}"),
                Query(
                    a_minute("betting_deposits_total", 'outcome="refused"', by="reason"),
                    "deposit: {{reason}}",
                    empty="no deposit was refused",
                ),
                Query(
                    a_minute("betting_withdrawals_total", 'outcome="refused"', by="reason"),
                    "withdrawal: {{reason}}",
                    empty="no withdrawal was refused",
                ),
            ),
            Unit.A_MINUTE,
            Look.LAYERS,
        ),
        Panel(
            "Settled a minute",
            "Bets that settlement ended: won if something was returned; corrected if a later result changed that.",
            one(a_minute("betting_bets_settled_total", by="outcome"), "{{outcome}}"),
            Unit.A_MINUTE,
        ),
        Panel(
            "Bets left to settle",
            "Falls while settlements run; if it stays level for minutes, they are stuck.",
            (
                Query(total("betting_settlement_bets_left"), "bets left"),
                Query(total("betting_settlements_running"), "settlements running"),
            ),
        ),
        Panel(
            "Oldest settlement",
            "How long the oldest running settlement has been running.",
            one(age("betting_settlement_oldest_timestamp_seconds"), "age", empty=NO_SETTLEMENT),
            Unit.SECONDS,
        ),
        Panel(
            "Open markets",
            "Markets without a result, and the most that their results can cost, in minor units of each currency.",
            (
                Query(total("betting_open_markets"), "markets"),
                Query(
                    total("betting_open_market_liability_minor_units", by="currency"),
                    "liability {{currency}}",
                    empty="no market is open",
                ),
            ),
        ),
    ),
)

PAYMENTS = Section(
    "Deposits and withdrawals",
    (
        Panel(
            "Deposits a minute",
            "By how they ended; declined is the customer's bank, failed is ours or the provider's.",
            one(a_minute("betting_deposits_total", by="outcome"), "{{outcome}}"),
            Unit.A_MINUTE,
            width=6,
        ),
        Panel(
            "Withdrawals a minute",
            "Held when asked for, then paid or returned.",
            one(a_minute("betting_withdrawals_total", by="outcome"), "{{outcome}}"),
            Unit.A_MINUTE,
            width=6,
        ),
        Panel(
            "Waiting money",
            "Deposits of unknown outcome, and withdrawals held.",
            (
                Query(total("betting_deposits_unknown"), "deposits unknown"),
                Query(total("betting_withdrawals_held"), "withdrawals held"),
            ),
            width=6,
        ),
        Panel(
            "Oldest waiting",
            "How long the customer has been waiting.",
            (
                Query(age("betting_deposits_unknown_oldest_timestamp_seconds"), "deposit", empty=NO_UNKNOWN),
                Query(age("betting_withdrawals_held_oldest_timestamp_seconds"), "withdrawal", empty=NO_HELD),
            ),
            Unit.SECONDS,
            width=6,
        ),
    ),
)

REPAIRS = Section(
    "Bookkeeper: differences, stranded work and repairs",
    (
        Panel(
            "Differences from the provider",
            "References on which the books and the provider's list of movements differ, by kind. It must be zero.",
            one(total("betting_provider_differences", by="difference"), "{{difference}}"),
            bad_from=1,
            width=6,
        ),
        Panel(
            "Last comparison with the provider",
            "Time since the books were last compared with the provider's list of movements.",
            one(age("betting_reconciled_timestamp_seconds"), "age"),
            Unit.SECONDS,
            width=6,
        ),
        Panel(
            "Stranded work",
            "Operations that have no end and that no invocation works on, by kind. `betting books` names them.",
            one(total("betting_stranded", by="kind"), "{{kind}}"),
            bad_from=1,
            width=6,
        ),
        Panel(
            "Repairs a minute",
            "Stranded operations that the bookkeeper has sent on, by kind. Each is a sign of a bug or of a kill.",
            one(a_minute("betting_repairs_total", by="kind"), "{{kind}}"),
            Unit.A_MINUTE,
            width=6,
        ),
    ),
)

OUTSIDE = Section(
    "Payment provider and mail",
    (
        Panel(
            "Provider calls a second",
            "By call and outcome; unknown is a timeout or an error, and is looked up by its key.",
            one(a_second(CALLS, by="call,outcome"), "{{call}} {{outcome}}"),
            Unit.A_SECOND,
        ),
        Panel(
            "Provider latency (p95)",
            "95th percentile of the provider's response time, by call.",
            one(quantile(0.95, "betting_provider_call_duration_seconds", by="call"), "{{call}}"),
            Unit.SECONDS,
        ),
        Panel(
            "Messages to customers a minute",
            "Mails sent, and those that the mail server will never take.",
            one(a_minute("betting_messages_total", by="outcome"), "{{outcome}}"),
            Unit.A_MINUTE,
        ),
    ),
)

LATENCY = Section(
    "Latency",
    (
        Panel(
            "Latency of what customers call: p50, p95, p99",
            "Duration of the last attempt; time before a suspension is not counted. A deposit waits for the provider.",
            (
                Query(quantile(0.5, HANDLERS, CUSTOMERS), "p50", empty="nothing ended lately"),
                Query(quantile(0.95, HANDLERS, CUSTOMERS), "p95", empty="nothing ended lately"),
                Query(quantile(0.99, HANDLERS, CUSTOMERS), "p99", empty="nothing ended lately"),
            ),
            Unit.SECONDS,
        ),
        Panel(
            "The five slowest handlers",
            "p95 latency by handler, without handlers that wait for people or for the provider.",
            one(f"topk(5, {quantile(0.95, HANDLERS, PROMPT, by='service,handler')})", "{{service}}/{{handler}}"),
            Unit.SECONDS,
        ),
        Panel(
            "Attempts a second",
            "Attempts by outcome; a suspended one waits for something, a failed or disconnected one is retried.",
            one(a_second("betting_handler_attempts_total", by="outcome"), "{{outcome}}"),
            Unit.A_SECOND,
        ),
    ),
)

BETTING = Board(
    "betting",
    "Betting",
    "Whether money flows and customers wait. Versions are in Betting: versions, the engine is in Betting: Restate.",
    (NOW, MONEY, BETS, PAYMENTS, REPAIRS, OUTSIDE, LATENCY),
)
