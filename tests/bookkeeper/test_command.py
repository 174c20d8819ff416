"""`betting books`, as a person, a script and Prometheus use it."""

import json
import signal
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.bookkeeper.run import pause_seconds
from app.domain.wallet import Account
from tests.bookkeeper.commands import NOWHERE, bookkeeper, once
from tests.bookkeeper.looking import Kept, player_with
from tests.dev.commands import betting

WRONG = player_with({Account.CASH: 100}, {Account.CASH: 100})


def exported(url: str) -> dict[str, float]:
    """The numbers without labels of ours."""
    text = httpx.get(url, trust_env=False).raise_for_status().text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("betting_") and not sample.labels
    }


def test_books_that_balance_are_told_to_people_and_end_with_0(kept: Kept) -> None:
    kept.deposit("told")

    answer = once(kept)

    assert answer.returncode == 0
    assert "EUR cash " in answer.stdout
    assert answer.stdout.splitlines()[-1].startswith("balanced: all wallets of ")


def test_books_that_do_not_balance_end_with_1_and_name_the_wallet_to_programs(kept: Kept) -> None:
    with kept.player(WRONG):
        answer = once(kept, "--output=json", "--sample=1000")

    told = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert told["balanced"] is False
    assert told["unbalancedExamples"] == ["player planted: wallet w sums to 100"]
    assert told["disagreeing"] == ["planted"]
    assert told["balances"]["EUR"]["cash"] >= 100
    assert told["deposits"]["count"] == 0


@pytest.mark.parametrize("option", ["--admin", "--ingress"])
def test_books_that_could_not_be_seen_end_with_3_and_a_cure(kept: Kept, option: str) -> None:
    kept.deposit("unseen")

    answer = once(kept, f"{option}={NOWHERE}")

    assert answer.returncode == 3
    assert answer.stdout == ""
    assert f"not everything could be seen: {NOWHERE}/" in answer.stderr
    assert "--ingress" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_output_without_once_is_wrong_usage() -> None:
    assert betting("books", "--output=json").returncode == 2


def test_a_bookkeeper_looks_again_and_says_aloud_what_does_not_balance(kept: Kept, tmp_path: Path) -> None:
    kept.deposit("watched")
    with bookkeeper(kept, tmp_path) as (url, _):
        kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
        first = exported(url)["betting_books_timestamp_seconds"]
        kept.system.eventually(lambda: exported(url)["betting_books_timestamp_seconds"] > first)
        with kept.player(WRONG):
            kept.system.eventually(lambda: exported(url)["betting_books_balanced"] == 0)
        kept.system.eventually(lambda: exported(url)["betting_books_balanced"] == 1)

    log = (tmp_path / "log").read_text()
    assert log.count("NOT balanced; player planted: wallet w sums to 100") >= 1


def test_the_timestamp_stands_still_while_not_everything_is_seen(kept: Kept, tmp_path: Path) -> None:
    kept.deposit("still")
    with bookkeeper(kept, tmp_path) as (url, _):
        kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
        with kept.stored("PlayerService", "unread-1", {"player": "nothing like JSON"}):
            kept.system.eventually(lambda: "1 documents or balances" in (tmp_path / "log").read_text())
            seen = exported(url)
            with kept.stored("PlayerService", "unread-2", {"player": "nothing like JSON"}):
                kept.system.eventually(lambda: "2 documents or balances" in (tmp_path / "log").read_text())
                assert exported(url) == seen
        kept.system.eventually(
            lambda: exported(url)["betting_books_timestamp_seconds"] > seen["betting_books_timestamp_seconds"]
        )


def test_before_the_first_look_no_number_is_exported(kept: Kept, tmp_path: Path) -> None:
    with bookkeeper(kept, tmp_path, f"--admin={NOWHERE}") as (url, _):
        kept.system.eventually(lambda: "not everything could be seen" in (tmp_path / "log").read_text())

        assert exported(url) == {}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_bookkeeper_at_once_and_cleanly(kept: Kept, tmp_path: Path, signum: signal.Signals) -> None:
    with bookkeeper(kept, tmp_path, "--every=600") as (url, process):
        kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
        process.send_signal(signum)

        assert process.wait(20) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_look_that_takes_long_is_followed_by_a_longer_rest() -> None:
    assert pause_seconds(took_seconds=1, every_seconds=30) == 29
    assert pause_seconds(took_seconds=20, every_seconds=30) == 180
    assert pause_seconds(took_seconds=300, every_seconds=30) == 900
    assert pause_seconds(took_seconds=300, every_seconds=3600) == 3300


def test_the_bookkeeper_of_a_development_system_exports_its_books(kept: Kept) -> None:
    url = kept.system.ports.url("books") + "/metrics"

    kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
