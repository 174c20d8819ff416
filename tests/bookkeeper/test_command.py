"""`betting books`, as a person, a script and Prometheus use it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from app.bookkeeper import run
from app.bookkeeper.books import Books
from app.bookkeeper.metrics import Exported
from app.bookkeeper.restate import UnknownError
from app.bookkeeper.run import pause_seconds
from app.commands import books as command
from app.domain.wallet import Account
from tests.bookkeeper.commands import NOWHERE, bookkeeper, once
from tests.bookkeeper.looking import Kept, player_with
from tests.bookkeeper.seen import LOOK, SEEN
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


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf"])
@pytest.mark.parametrize("option", ["--every", "--stranded-after", "--reconcile-after", "--forget-after"])
def test_a_time_that_is_none_is_refused(option: str, seconds: str) -> None:
    refused = CliRunner().invoke(command.books, ["--once", f"--admin={NOWHERE}", f"{option}={seconds}"])

    assert refused.exit_code == 2
    assert f"'{option}'" in refused.stderr


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


def test_a_bookkeeper_names_whose_document_cannot_be_read_and_looks_at_all_others(kept: Kept, tmp_path: Path) -> None:
    kept.deposit("still")
    unread = "betting_books_unreadable_documents"
    with bookkeeper(kept, tmp_path) as (url, _):
        kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
        assert exported(url)[unread] == 0
        with kept.stored("PlayerService", "unread-1", {"player": "nothing like JSON"}):
            kept.system.eventually(lambda: exported(url)[unread] == 1)
            seen = exported(url)
            with kept.stored("PlayerService", "unread-2", {"player": '{"userId":"unread-2","limits":"x"}'}):
                kept.system.eventually(lambda: exported(url)[unread] == 2)
                assert exported(url)["betting_books_timestamp_seconds"] > seen["betting_books_timestamp_seconds"]
                assert exported(url)["betting_books_balanced"] == 1
        kept.system.eventually(lambda: exported(url)[unread] == 0)
    assert "NOT all seen; player unread-1: the document cannot be read" in (tmp_path / "log").read_text()


class Looks:
    """Looks as they come, each complete or failed; then the bookkeeper is stopped."""

    def __init__(self, *looks: Books | UnknownError) -> None:
        self.repair, self.provider = False, None
        self._looks = list(looks)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Self]:
        yield self

    async def look(self, _: int) -> Books:
        if not self._looks:
            raise asyncio.CancelledError
        if isinstance(look := self._looks.pop(0), UnknownError):
            raise look
        return look


def test_a_look_that_failed_changes_no_number_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.0)
    registry, shown, said = CollectorRegistry(), Exported(), []
    registry.register(shown)
    seen: list[float | None] = []

    def tell(line: str) -> None:
        said.append(line)
        seen.append(registry.get_sample_value("betting_books_timestamp_seconds"))

    looks = Looks(UnknownError("a"), LOOK, UnknownError("b"), UnknownError("c"))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run.keep(looks, 1, 0, shown, tell))  # type: ignore[arg-type]

    failed = "not everything could be seen"
    assert said == [f"{failed}: a", "NOT balanced; 1 more references differ", f"{failed}: b", f"{failed}: c"]
    assert seen == [None, SEEN.timestamp(), SEEN.timestamp(), SEEN.timestamp()]


@pytest.mark.parametrize("output", ["text", "json"])
def test_books_of_which_a_document_cannot_be_read_are_told_and_end_with_3(kept: Kept, output: str) -> None:
    kept.deposit("readable")
    with kept.stored("PlayerService", "unread", {"player": "[]"}):
        answer = once(kept, f"--output={output}", "--sample=1000")

    assert answer.returncode == 3
    if output == "json":
        told = json.loads(answer.stdout)
        assert (told["balanced"], told["unreadable"], told["unreadablePlayers"]) == (True, 1, ["unread"])
    else:
        assert "player unread: the document cannot be read, so nothing is said of its money" in answer.stdout
        assert answer.stdout.splitlines()[-1].startswith("NOT all seen: all wallets of ")


def test_books_that_do_not_balance_end_with_1_though_a_document_cannot_be_read(kept: Kept) -> None:
    with kept.player(WRONG), kept.stored("PlayerService", "unread", {"player": "[]"}):
        assert once(kept).returncode == 1


def test_a_bookkeeper_whose_provider_does_not_answer_says_that_there_is_one_and_no_difference(
    kept: Kept, tmp_path: Path
) -> None:
    kept.deposit("compared")
    with bookkeeper(kept, tmp_path, f"--provider={NOWHERE}") as (url, _):
        kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
        told = exported(url)

    assert told["betting_provider_compared"] == 1
    assert "betting_reconciled_timestamp_seconds" not in told


def test_before_the_first_look_no_number_is_exported(kept: Kept, tmp_path: Path) -> None:
    with bookkeeper(kept, tmp_path, f"--admin={NOWHERE}") as (url, _):
        kept.system.eventually(lambda: "not everything could be seen" in (tmp_path / "log").read_text())

        assert exported(url) == {}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_bookkeeper_at_once_and_cleanly(kept: Kept, tmp_path: Path, signum: signal.Signals) -> None:
    with bookkeeper(kept, tmp_path, "--every=600") as (url, process):
        kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
        process.send_signal(signum)

        assert process.wait(60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_look_that_takes_long_is_followed_by_a_longer_rest() -> None:
    assert pause_seconds(took_seconds=1, every_seconds=30) == 29
    assert pause_seconds(took_seconds=20, every_seconds=30) == 180
    assert pause_seconds(took_seconds=300, every_seconds=30) == 900
    assert pause_seconds(took_seconds=300, every_seconds=3600) == 3300


def test_the_bookkeeper_of_a_development_system_exports_its_books(kept: Kept) -> None:
    url = kept.system.ports.url("books") + "/metrics"

    kept.system.eventually(lambda: exported(url).get("betting_books_balanced") == 1)
