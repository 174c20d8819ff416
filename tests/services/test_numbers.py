"""What the service exports: each business number once, with and without forced replay, and over processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.helpers.bets import Customer, Game
from tests.helpers.deposits import deposit, request
from tests.helpers.ports import free_port_base
from tests.helpers.withdrawals import at_the_provider, status, withdraw
from tests.running import REPLAYING, System, clean_environment, running

BUSINESS = (
    "betting_deposits_total",
    "betting_deposited_minor_units_total",
    "betting_withdrawals_total",
    "betting_withdrawn_minor_units_total",
    "betting_sent_back_minor_units_total",
    "betting_bets_total",
    "betting_staked_minor_units_total",
    "betting_bets_settled_total",
    "betting_returned_minor_units_total",
    "betting_taken_back_minor_units_total",
)


@pytest.fixture(scope="module", params=["plain", "replayed"])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that nobody else plays on, so that every number is ours."""
    environment = REPLAYING if request.param == "replayed" else {}
    with running(tmp_path_factory.mktemp("numbers"), environment=environment) as system:
        yield system


@contextmanager
def counting(betting: System, **expected: float) -> Iterator[None]:
    """What is done within moves these business numbers, and no other.

    A keyword is the name between `betting_` and `_total` and the labels' values, with two underscores between them.
    """
    before = _numbers(betting)
    yield

    def grown() -> dict[str, float]:
        return {
            name: value - before.get(name, 0) for name, value in _numbers(betting).items() if value != before.get(name)
        }

    betting.eventually(lambda: grown() == expected or grown().keys() > expected.keys())
    assert grown() == expected


def _numbers(betting: System) -> dict[str, float]:
    return {
        "__".join([name.removeprefix("betting_").removesuffix("_total"), *filter(None, labels)]): value
        for name in BUSINESS
        for labels, value in betting.metrics(name).items()
    }


def test_a_deposit_is_counted_when_it_is_credited_and_not_again(own: System) -> None:
    body = request()

    with counting(own, deposits__credited=1, deposited_minor_units__EUR=100):
        deposit(own, body)
        deposit(own, body)


def test_a_refused_and_a_declined_deposit_count_with_what_they_are(own: System) -> None:
    with counting(own, deposits__refused__deposit_limit=1):
        deposit(own, request(amount=10_001), status=422)
    with counting(own, deposits__declined=1):
        deposit(own, request("declined"), status=402)


def test_a_withdrawal_is_counted_when_it_is_held_and_when_it_is_paid(own: System) -> None:
    body = request()
    deposit(own, body)

    with counting(own, withdrawals__held=1, withdrawals__paid=1, withdrawn_minor_units__EUR=60):
        withdraw(own, body, amount=60, withdrawalId=f"x-{body['depositId']}")
        own.eventually(lambda: status(own, f"x-{body['depositId']}") == "paid")
    with counting(own, withdrawals__refused__insufficient_funds=1):
        withdraw(own, body, amount=60, status=422)
    with counting(own, withdrawals__sentBack=1, sent_back_minor_units__EUR=60):
        at_the_provider(own, f"x-{body['depositId']}", "sendBack")
        own.eventually(lambda: status(own, f"x-{body['depositId']}") == "sentBack")


def test_a_bet_is_counted_when_it_is_accepted_and_when_its_market_settles(own: System) -> None:
    game, customer = Game(own), Customer(own)

    with counting(own, bets__accepted=2, staked_minor_units__EUR=1_500):
        customer.bets(game.home())
        customer.bets(f"{game.market_id} away 1.80", stake=500)
    with counting(own, bets__refused__price_changed=1):
        customer.bets(game.home("2.40"), status=409)
    with counting(own, bets_settled__won=1, bets_settled__lost=1, returned_minor_units__EUR=2_500):
        game.ends("won")
    with counting(own, bets_settled__corrected=2, returned_minor_units__EUR=900, taken_back_minor_units__EUR=2_500):
        game.ends("lost", "won", version=2)


def test_a_bet_in_play_is_counted_when_it_is_decided(own: System) -> None:
    game, customer = Game(own, betDelaySeconds=1), Customer(own)

    with counting(own, bets__accepted=1, staked_minor_units__EUR=1_000):
        bet = customer.bets(game.home())
        assert bet["status"] == "delayed"
        own.eventually(lambda: customer.bet(bet)["status"] == "open")


def test_attempts_are_told_apart_by_how_they_ended(own: System) -> None:
    before = own.metrics("betting_handler_attempts_total")
    deposit(own, request())
    deposit(own, request(amount=10_001), status=422)

    def grown(outcome: str) -> float:
        labels = ("deposit", outcome, "PaymentService")
        return own.metrics("betting_handler_attempts_total").get(labels, 0) - before.get(labels, 0)

    own.eventually(lambda: (grown("done"), grown("refused")) == (1, 1))


def test_a_refusal_is_told_once_and_no_address_ever(own: System) -> None:
    deposit(own, request(amount=1_000_000), status=422)
    told = own.eventually(lambda: [line for line in own.log().splitlines() if "deposit_limit" in line])

    refusals = own.metrics("betting_deposits_total")["refused", "deposit_limit"]
    assert len(told) == refusals
    assert "@example.com" not in own.log()


def test_numbers_survive_a_killed_service_and_processes_that_share_a_folder_add_up(own: System) -> None:
    body = request()
    deposit(own, body)
    own.eventually(lambda: own.mails(str(body["email"])))  # what is sent is not seen while it is on its way
    own.eventually(lambda: own.query("select id from sys_invocation where status <> 'completed'") == [])
    deposits, attempts = own.metrics("betting_deposits_total"), _attempts_of_requests(own)
    own.kill("service")

    assert own.metrics("betting_deposits_total") == deposits
    assert _attempts_of_requests(own) == attempts
    with another_process(own) as its_metrics:
        assert 'betting_deposits_total{outcome="credited",reason=""} ' in its_metrics
        done = attempts["deposit", "done", "PaymentService"]
        assert (
            f'betting_handler_attempts_total{{handler="deposit",outcome="done",service="PaymentService"}} {done}'
            in its_metrics
        )


def _attempts_of_requests(betting: System) -> dict[tuple[str, ...], float]:
    """The attempts by handler, outcome and service, without the bookkeeper's: it audits a player whenever it likes."""
    attempts = betting.metrics("betting_handler_attempts_total")
    return {labels: number for labels, number in attempts.items() if labels[0] != "audit"}


@contextmanager
def another_process(betting: System) -> Iterator[str]:
    """What a second process of the service exports, which nothing calls but which shares the first one's folder."""
    base = free_port_base()

    environment = (
        clean_environment()
        | betting.outside()
        | {
            "BETTING_PORT": str(base + 1080),
            "BETTING_METRICS_PORT": str(base + 1095),
            "BETTING_METRICS_DIR": str(betting.folder / "state" / "metrics"),
        }
    )
    process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment)
    try:
        url = f"http://127.0.0.1:{base + 1095}/metrics"
        yield betting.eventually(lambda: httpx.get(url).raise_for_status().text)
    finally:
        process.terminate()
        process.wait()
