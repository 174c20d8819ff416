"""What passes the door, whose it is then, and what Restate gets to know of who asked."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.dev.folder import Folder
from app.sandbox.identity import signing_key
from tests.dev.commands import betting
from tests.edge.conftest import Door
from tests.edge.raw import JSON, Answer, ask, bearer, flood
from tests.edge.requests import ACCOUNT, DEPOSIT, deposit

BODIES = {
    "another's money": (deposit("ben"), 403, "not_yours"),
    "their own name, then another's": (deposit("ann")[:-1] + b',"userId":"ben"}', 403, "not_yours"),
    "another's name as escapes": (deposit("ann")[:-1] + rb',"\u0075serId":"ben"}', 403, "not_yours"),
    "another's name beside": (deposit("ann", userid="ben"), 400, "invalid_request"),
    "nobody's name": (deposit(None), 400, "invalid_request"),
    "UTF-16": (deposit("ben").decode().encode("utf-16"), 400, "invalid_request"),
    "a byte order mark": (b"\xef\xbb\xbf" + deposit("ben"), 400, "invalid_request"),
    "deep nesting": (b"[" * 30_000 + b"]" * 30_000, 400, "invalid_request"),
    "no JSON": (b"userId=ben", 400, "invalid_request"),
    "a NUL": (deposit("ben\0"), 400, "invalid_request"),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_judged_by_the_one_parser_that_counts(door: Door, body: str) -> None:
    content, status, reason = BODIES[body]

    answer = ask(door.url, DEPOSIT, bearer(door.signer.token("ann")), JSON, body=content)

    assert (answer.status, answer.reason) == (status, reason)
    assert door.system.state("PlayerService", "ben") == {}


@pytest.mark.parametrize(
    ("target", "roles", "reason"),
    [
        ("/PlayerService/ben/getAccount", [], "not_yours"),
        ("/PlayerService/never-seen/getAccount", [], "not_yours"),
        ("/PlayerService/ben/getAccount", ["trader"], "not_yours"),
        ("/PlayerService/ben/getAccount", ["admin", "Auditor", "AUDITOR", "player", "anyone", "provider"], "not_yours"),
        ("/DepositFollowUp/never-seen/status", [], "not_yours"),
        ("/WithdrawalWorkflow/never-seen/status", [], "not_yours"),
        ("/MarketService/m-1/suspend", ["payments", "support", "auditor"], "role_needed"),
        ("/MarketQuarantine/m-1/list", ["support"], "role_needed"),
        ("/SettlementWorkflow/m-1:1/progress", ["payments"], "role_needed"),
    ],
)
def test_who_has_not_the_role_is_told_no_and_nothing_else(
    door: Door, target: str, roles: list[str], reason: str
) -> None:
    answer = ask(door.url, target, bearer(door.signer.token("ann", roles=roles)))

    assert (answer.status, answer.reason) == (403, reason)


def test_a_trader_cannot_approve(door: Door) -> None:
    signed = bearer(door.signer.token("tom", roles=["trader", "support", "auditor", "feed"]))

    answer = ask(door.url, "/WithdrawalWorkflow/w-1/approve", signed, JSON, body=b"{}")

    assert (answer.status, answer.reason) == (403, "role_needed")


def test_headers_that_say_who_asks_are_taken_from_the_token_alone(door: Door) -> None:
    spoofed = [
        ("x-betting-user", "ben"),
        ("X-Betting-User", "ben"),
        ("x_betting_user", "ben"),
        ("x-betting-roles", "auditor"),
        ("X-BETTING-ROLES", "support"),
        ("connection", "x-betting-user"),
    ]

    own = ask(door.url, ACCOUNT, bearer(door.signer.token("ann")), *spoofed)
    another = ask(door.url, "/PlayerService/ben/getAccount", bearer(door.signer.token("ann")), *spoofed)
    unsigned = ask(door.url, ACCOUNT, *spoofed)

    assert (own.status, own.body["userId"]) == (200, "ann")
    assert (another.status, another.reason) == (403, "not_yours")
    assert (unsigned.status, unsigned.reason) == (401, "unauthenticated")


def test_a_key_may_be_encoded_as_clients_do_and_no_further(door: Door) -> None:
    signed = bearer(door.signer.token("ann@example.com:1"))

    plain = ask(door.url, "/PlayerService/ann@example.com:1/getAccount", signed)
    encoded = ask(door.url, "/PlayerService/ann%40example.com%3a1/getAccount", signed)

    assert [plain.body["userId"], encoded.body["userId"]] == ["ann@example.com:1"] * 2


def test_an_idempotency_key_is_its_users_own(door: Door) -> None:
    key = ("idempotency-key", "the very same")

    def paid(user: str, content: bytes) -> Answer:
        return ask(door.url, DEPOSIT, bearer(door.signer.token(user)), JSON, key, body=content)

    cleo, dora, again = paid("cleo", deposit("cleo")), paid("dora", deposit("dora")), paid("cleo", deposit("cleo"))
    guessed = paid("dora", deposit("cleo"))

    assert {cleo.status, dora.status, again.status} == {200}
    assert cleo.body == again.body
    assert cleo.body["depositId"] != dora.body["depositId"]
    assert guessed.body == dora.body  # what she was answered before, and nothing of cleo's


def test_the_journal_has_no_token_cookie_or_address(door: Door) -> None:
    token = door.signer.token("ella")
    private = [("cookie", "session=crumbs"), ("x-forwarded-for", "198.51.100.7"), ("user-agent", "agent-ella")]
    others = [("kafka.topic", "topic-ella"), ("x-restate-ella", "restate-ella"), ("origin", "https://ella.example")]

    answer = ask(door.url, DEPOSIT, bearer(token), *private, *others, JSON, body=deposit("ella"))

    assert answer.status == 200
    invocation = answer.headers["x-restate-id"]
    rows = door.system.query(f"select raw from sys_journal where id = '{invocation}' and raw is not null")
    journal = b"".join(bytes.fromhex(row["raw"]) for row in rows)
    assert b"x-betting-user" in journal
    unwanted = [token, "Bearer", "crumbs", "198.51.100.7", "127.0.0.1", "agent-ella", "topic-ella", "restate-ella"]
    assert [word for word in (*unwanted, "ella.example") if word.encode() in journal] == []


def test_what_is_for_anyone_needs_no_token(door: Door) -> None:
    trader = bearer(door.signer.token("tom", roles=["trader"]))
    market = {"name": "A - B", "selections": [{"selectionId": "home", "name": "A", "price": "2.00"}], "maxStake": 100}
    opened = ask(door.url, "/MarketService/for-anyone/open", trader, JSON, body=json.dumps(market).encode())

    key = ("idempotency-key", "k")
    seen = [ask(door.url, "/MarketService/for-anyone/get", ("authorization", "Bearer nonsense"), key) for _ in "12"]

    assert opened.status == 200, opened.content
    assert [(one.status, one.body["marketId"]) for one in seen] == [(200, "for-anyone")] * 2
    # Restate makes the id of an invocation of the key: the key of nobody is not passed on.
    directly = [door.system.call("MarketService", "get", key="for-anyone", headers=dict([key])) for _ in "12"]
    assert len({one.headers["x-restate-id"] for one in directly}) == 1
    assert len({one.headers["x-restate-id"] for one in seen}) == 2


def test_an_unsigned_webhook_is_refused(door: Door) -> None:
    answer = ask(door.url, "/PaymentService/webhook", JSON, body=b"{}")

    assert (answer.status, answer.reason) == (401, "bad_signature")


def test_no_page_of_another_site_may_call_or_read(door: Door) -> None:
    page = ("origin", "https://evil.example")
    asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")]

    preflight = ask(door.url, ACCOUNT, page, *asked, method="OPTIONS")
    answer = ask(door.url, ACCOUNT, page, bearer(door.signer.token("ann")))

    assert (preflight.status, answer.status) == (404, 200)
    assert not [name for name in (*preflight.headers, *answer.headers) if name.startswith("access-control")]


def test_a_flood_of_one_user_is_theirs_alone(door: Door) -> None:
    def refused() -> Sequence[Answer]:
        answers = flood(door.url, ACCOUNT, bearer(door.signer.token("ann")), count=300)
        assert {one.status for one in answers.answers} <= {200, 429}
        assert answers.keeps_to(50)
        return answers.refused

    told = door.system.eventually(refused)  # a door that is slow itself has time for all of them
    other = ask(door.url, "/PlayerService/fred/getAccount", bearer(door.signer.token("fred")))

    assert {(one.reason, one.headers["retry-after"]) for one in told} == {("too_many_requests", "1")}
    assert other.status == 200
    door.system.eventually(lambda: ask(door.url, ACCOUNT, bearer(door.signer.token("ann"))).status == 200)


def test_a_flood_of_one_address_is_stopped_before_tokens_are_looked_at(door: Door) -> None:
    before = door.invocations()

    def is_stopped() -> bool:
        answers = flood(door.url, ACCOUNT, bearer("no.token.atall"), count=900)
        assert {one.status for one in answers.answers} <= {401, 429}
        assert answers.keeps_to(200)
        return bool(answers.refused)

    door.system.eventually(is_stopped)
    assert door.invocations() == before
    door.system.eventually(lambda: ask(door.url, ACCOUNT, bearer(door.signer.token("gus"))).status != 429)


def test_only_readiness_and_numbers_are_shown_of_the_door_itself(door: Door) -> None:
    base = door.system.facts()["edge_metrics"]

    shown = {target: ask(base, target, method="GET").status for target in ("/ready", "/stats/prometheus")}
    hidden = {target: ask(base, target, method="GET").status for target in ("/", "/config_dump", "/stats", "/certs")}

    assert set(shown.values()) == {200}
    assert set(hidden.values()) == {404}
    assert ask(base, "/quitquitquit").status == 404


def test_the_doors_log_has_no_token(door: Door) -> None:
    token = door.signer.token("hugo")
    assert ask(door.url, "/PlayerService/hugo/getAccount", bearer(token), ("cookie", "session=crumbs")).status == 200
    assert ask(door.url, f"/PlayerService/hugo/getAccount?access_token={token}").status == 404

    def log() -> str:
        text = (door.system.folder / "state" / "logs" / "edge.log").read_text()
        return text if text.count("/hugo/") == 2 else ""

    told = door.system.eventually(log)
    assert token[-40:] not in told
    assert "crumbs" not in told


def test_what_passes_reaches_restate(door: Door) -> None:
    """Otherwise the attacks would be refused in vain: their count would stand still by itself."""
    before = door.invocations()

    assert ask(door.url, "/PlayerService/ida/getAccount", bearer(door.signer.token("ida"))).status == 200

    assert door.invocations() == before + 1


def test_the_command_signs_a_token_that_the_door_takes(door: Door) -> None:
    data = f"--data={door.system.folder / 'state'}"
    ann = betting("token", "ann", data)
    tom = betting("token", "tom", "--role=trader", "--role=auditor", "--minutes=1", data)

    account = ask(door.url, ACCOUNT, bearer(ann.stdout.strip()))
    audited = ask(door.url, ACCOUNT, bearer(tom.stdout.strip()))

    assert (account.status, audited.status) == (200, 200), (account, audited)
    assert ask(door.url, "/PlayerService/tom/placeBet", bearer(ann.stdout.strip())).reason == "not_yours"


@pytest.mark.parametrize(
    "arguments", [("a/b",), ("ann", "--role=boss"), ("ann", "--role=player"), ("ann", "--minutes=0")]
)
def test_no_token_is_signed_that_the_door_would_refuse(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = betting("token", *arguments, f"--data={tmp_path / 'state'}")

    assert (answer.returncode, answer.stdout) == (2, "")


def test_the_key_for_tokens_is_for_its_owner_alone_and_forgotten_with_the_state(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    first = signing_key(folder.identity_key).read_bytes()

    assert signing_key(folder.identity_key).read_bytes() == first
    assert folder.identity_key.stat().st_mode & 0o077 == 0
    folder.forget()
    assert signing_key(folder.identity_key).read_bytes() != first


def test_the_door_is_started_again_when_it_ends(door: Door) -> None:
    door.system.kill("edge")

    assert ask(door.url, ACCOUNT, bearer(door.signer.token("ann"))).status == 200
