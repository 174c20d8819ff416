"""What Restate keeps of requests that have ended: nothing where a repetition does no harm, or else for a while."""

from tests.helpers.bets import Customer, Game
from tests.helpers.withdrawals import THRESHOLD, rich, status, withdraw
from tests.running import System

READS = ("getAccount", "getStatement", "audit", "listBets", "getLimits")
ENDED = """select count(*) as n from sys_invocation_status
where status = 'completed' and target_service_name = '{}' and target_service_key = '{}'"""


def kept(betting: System, service: str, key: str) -> int:
    [row] = betting.query(ENDED.format(service, key))
    return int(row["n"])


def test_reads_and_bets_leave_no_answer_behind(betting: System) -> None:
    customer, game = Customer(betting), Game(betting)
    for _ in range(3):
        customer.bet(customer.bets(game.home()))
        game.does("get")
        for read in READS:
            customer.does(read)
    game.ends("won")

    betting.eventually(lambda: kept(betting, "PlayerService", customer.user_id) == 0)
    betting.eventually(lambda: kept(betting, "MarketService", game.market_id) == 0)


def test_the_answer_to_a_request_without_an_id_is_kept(betting: System) -> None:
    customer = Customer(betting)
    customer.does("setLimit", {"kind": "stake", "period": "day", "amount": 5})

    betting.eventually(lambda: kept(betting, "PlayerService", customer.user_id) == 1)


def test_of_a_withdrawal_its_run_alone_is_kept(betting: System) -> None:
    """Who waits for it asks for its status again and again."""
    name = withdraw(betting, rich(betting, THRESHOLD), amount=THRESHOLD)["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "inReview")
    assert betting.call("WithdrawalWorkflow", "approve", {"operator": "ann"}, key=name).is_success
    betting.eventually(lambda: status(betting, name) == "paid")

    betting.eventually(lambda: kept(betting, "WithdrawalWorkflow", name) == 1)
