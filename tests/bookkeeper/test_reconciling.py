"""The bookkeeper beside a real provider: what differs is named with its reference, and a season differs in nothing."""

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.bookkeeper.commands import NOWHERE, once
from tests.bookkeeper.looking import BROKEN, Kept
from tests.running import clean_environment


@pytest.fixture(autouse=True)
def _first_of_all_balanced(kept: Kept) -> None:
    kept.deposit("somebody")


def charged(kept: Kept, reference: str, amount: int = 900, user: str = "stranger") -> None:
    """Money that the provider takes, and that nobody has asked us about."""
    charge = {"reference": reference, "userId": user, "walletId": "w", "amount": amount, "currency": "EUR"}
    answer = httpx.post(
        f"{kept.system.sandbox}/charges",
        json={**charge, "paymentMethod": "creditCard"},
        headers={"Idempotency-Key": reference},
        trust_env=False,
    )
    assert answer.is_success, answer.text


def compared(kept: Kept, *more: str, after: str = "0") -> tuple[int, dict[str, Any]]:
    answer = once(kept, f"--provider={kept.system.sandbox}", f"--reconcile-after={after}", "--output=json", *more)
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def found(told: dict[str, Any]) -> dict[str, tuple[str, dict[str, int], dict[str, int]]]:
    findings = told["reconciled"]["first"]
    return {each["reference"]: (each["difference"], each["provider"], each["books"]) for each in findings}


def test_a_charge_without_a_deposit_is_named_with_its_reference_and_ends_with_1(kept: Kept) -> None:
    charged(kept, "nobody-asked")

    answer = once(kept, f"--provider={kept.system.sandbox}", "--reconcile-after=0")
    code, told = compared(kept)

    assert (answer.returncode, code) == (1, 1)
    assert "moved by the provider and not in the books: charge nobody-asked of player stranger" in answer.stdout
    assert answer.stdout.splitlines()[-1].startswith("NOT balanced")
    assert told["balanced"] is False
    assert found(told)["nobody-asked"] == ("notHere", {"EUR": 900}, {})


def test_what_is_younger_than_the_grace_is_not_told(kept: Kept) -> None:
    charged(kept, "too-young")

    assert "too-young" not in found(compared(kept, after="60")[1])


def test_a_credit_of_what_nobody_paid_is_named_also_where_it_has_left_the_document(kept: Kept) -> None:
    before = kept.deposit("credited-twice", depositId="ct-1")
    assert before == "credited"
    document = json.loads(kept.system.state("PlayerService", "credited-twice")["player"])
    entry = document["entries"][0] | {"reference": "ct-2", "seq": 1}
    page = {"entries": [entry]}
    document["entries"][0]["seq"], document["pagedOut"] = 51, 50
    with (
        kept.stored("PlayerService", "credited-twice", {"player": json.dumps(document)}),
        kept.stored("StatementService", "credited-twice:1", {"page": json.dumps(page)}),
    ):
        code, told = compared(kept)

    assert code == 1
    assert found(told)["ct-2"] == ("notThere", {}, {"EUR": 1_000})
    assert "ct-1" not in found(told)


def test_another_amount_is_named_with_both(kept: Kept) -> None:
    kept.deposit("other-amount", depositId="oa-1")
    document = kept.system.state("PlayerService", "other-amount")["player"].decode().replace("1000", "1100")
    with kept.stored("PlayerService", "other-amount", {"player": document}):
        code, told = compared(kept)

    assert code == 1
    assert found(told)["oa-1"] == ("other", {"EUR": 1_000}, {"EUR": 1_100})
    assert "oa-1" not in found(compared(kept)[1])


def test_documents_that_cannot_be_read_are_left_out_and_all_others_are_compared(kept: Kept) -> None:
    charged(kept, "beside-broken")
    before = found(compared(kept)[1])
    with kept.broken():
        _code, told = compared(kept)

    assert "beside-broken" in before
    assert (found(told), told["unreadable"]) == (before, len(BROKEN))


def test_without_a_provider_it_is_said_that_nothing_is_compared(kept: Kept) -> None:
    answer = once(kept)

    assert answer.returncode == 0
    assert "not reconciled with the provider: nobody said where it is (--provider)" in answer.stdout


def test_a_provider_that_does_not_answer_leaves_the_books_told_and_ends_with_3(kept: Kept) -> None:
    answer = once(kept, f"--provider={NOWHERE}")

    assert answer.returncode == 3
    assert "not reconciled with the provider: " in answer.stdout
    assert "balanced: all wallets of " in answer.stdout


def test_a_season_gives_no_false_alarm_while_it_is_played(kept: Kept) -> None:
    known = set(found(compared(kept)[1]))
    where = [f"--ingress={kept.system.ingress}", f"--sandbox={kept.system.sandbox}"]
    size = ["--players=40", "--markets=8", "--bets=300", "--clients=8"]
    season = subprocess.Popen(
        [sys.executable, "-m", "app", "simulate", *size, *where],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    looks = 0
    try:
        while season.poll() is None and looks < 5:
            _code, told = compared(kept, "--stranded-after=20", after="20")
            assert set(found(told)) <= known, told
            assert told["stranded"]["count"] == 0, told
            looks += 1
    finally:
        season.kill()
        season.wait()
    assert looks > 0
