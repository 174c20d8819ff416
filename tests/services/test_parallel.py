"""Many requests at once: one charge a deposit id, and never more held than there is."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers.deposits import cash, moved, request, subjects
from tests.helpers.withdrawals import balance, rich, status
from tests.running import REPLAYING, System, running


@pytest.fixture(scope="module", params=[{}, REPLAYING], ids=["plain", "replayed"])
def betting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose provider may take its time, since a hundred ask it at once."""
    with running(tmp_path_factory.mktemp("parallel"), request.param) as system:
        yield system


def test_a_hundred_parallel_deposits_with_one_id_are_one_charge(betting: System) -> None:
    body = request()

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: betting.call("PaymentService", "deposit", body), range(100)))

    assert Counter(answer.status_code for answer in answers) == {200: 100}
    assert len({answer.text for answer in answers}) == 1
    assert moved(betting, body) == [100]
    assert cash(betting, body) == 100
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]


def test_of_twenty_parallel_withdrawals_ten_are_held(betting: System) -> None:
    player = rich(betting, 10_000)
    body = {"walletId": player["walletId"], "userId": player["userId"], "amount": 1_000, "destination": "bank"}

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: betting.call("PaymentService", "withdraw", body), range(20)))

    assert Counter(answer.status_code for answer in answers) == {200: 10, 422: 10}
    names = [answer.json()["withdrawalId"] for answer in answers if answer.status_code == 200]
    betting.eventually(lambda: all(status(betting, name) == "paid" for name in names))
    assert balance(betting, player) == (0, 0)
    assert sum(len(betting.payouts(name)) for name in names) == 10
