"""Another gateway at the door: what Envoy Gateway makes of k8s/envoy-gateway holds against the same attacks."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.sandbox.identity import key_set
from tests.dev.commands import betting
from tests.edge.attacks import PATHS, TOKENS, Attack
from tests.edge.conftest import Door
from tests.edge.envoy_gateway import running_gateway
from tests.edge.envoys import echo, settings_for
from tests.edge.framing import BODIES, FRAMING
from tests.edge.raw import JSON, Answer, ask, bearer, flood
from tests.edge.requests import ACCOUNT, DEPOSIT, deposit
from tests.edge.translated import KEPT, OVERRIDE, RESOURCES, ROOT, VERSION, egctl, fingerprint, translated, written
from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually

ATTACKS = [*TOKENS, *PATHS, *BODIES, *FRAMING]


class Gateway:
    """The same system as behind our own door, behind Envoy Gateway's."""

    def __init__(self, door: Door, url: str) -> None:
        self.url = url
        self.signer = door.signer
        self.invocations = door.invocations


def keys_of(door: Door) -> str:
    return key_set((door.system.folder / "state" / "identity-key.pem").read_bytes())


@pytest.fixture(scope="module")
def gateway(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    restate = urlsplit(door.system.ingress).port
    assert restate is not None
    settings = settings_for(restate, keys_of(door), tls=True)
    with running_gateway(settings, tmp_path_factory.mktemp("gateway")) as envoy:
        yield Gateway(door, envoy.url)


OTHERWISE: dict[str, tuple[int, str | None, int]] = {
    # It looks at the token before the query.
    "token: in the query": (401, "unauthenticated", 0),
    # An escaped slash or NUL is a bad request to it.
    "POST /restate%2Fhealth": (400, "invalid_request", 0),
    "POST /PlayerService/ann%2Fx/getAccount": (400, "invalid_request", 0),
    "POST /PlayerService/ann%2fgetAccount": (400, "invalid_request", 0),
    "POST /PlayerService/ann%00/getAccount": (400, "invalid_request", 0),
    "bytes: CONNECT": (404, None, 0),
    # It puts a path in order, matches that, and passes on that: Restate is asked for the caller's own account.
    "POST /PlayerService/ann/getAccoun%74": (200, None, 1),
    "POST /PlayerService/%61nn/getAccount": (200, None, 1),
    "POST /PlayerService/ann\\getAccount": (200, None, 1),
    "POST /PlayerService\\ann\\getAccount": (200, None, 1),
}
"""What it answers otherwise than our own door, and how many requests reach Restate."""


def test_nothing_is_said_of_attacks_that_are_not_made() -> None:
    assert OTHERWISE.keys() <= {attack.name for attack in ATTACKS}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_it_refuses_never_reaches_restate(gateway: Gateway, attack: Attack) -> None:
    before = gateway.invocations()

    answer = attack.send(gateway)

    status, reason, passed = OTHERWISE.get(attack.name, (attack.status, attack.reason, 0))
    assert (answer.status, None if reason is None else answer.reason) == (status, reason)
    assert gateway.invocations() == before + passed


def test_it_passes_on_what_our_door_does_and_nothing_else(door: Door, tmp_path: Path) -> None:
    sent = [
        *(("cookie", "session=crumbs"), ("origin", "https://evil.example"), ("x-forwarded-for", "198.51.100.7")),
        *(("forwarded", "for=198.51.100.7"), ("x-forwarded-host", "evil.example"), ("x-request-id", "1")),
        *(("x-envoy-upstream-rq-timeout-ms", "1"), ("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "9")),
        *(("x-restate-id", "inv_1"), ("kafka.topic", "t"), ("baggage", "a=b"), ("user-agent", "a"), ("te", "trailers")),
        *(("x-betting-user", "ben"), ("X-Betting-Roles", "auditor"), ("x_betting_user", "ben")),
        *(("x-betting-received-at", "1"), ("x-betting-received-at", "1000000000000")),
        *(("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("idempotency-key", "k")),
        *(JSON, ("webhook-signature", "t=1,v1=0")),
    ]
    with echo(port := free_port()), running_gateway(settings_for(port, keys_of(door), tls=True), tmp_path) as envoy:
        answer = ask(envoy.url, ACCOUNT, bearer(door.signer.token(roles=["trader", "boss"])), *sent, body=b"{}")
        open_to_all = ask(envoy.url, "/MarketService/m-1/get", ("x-betting-user", "ben"), ("idempotency-key", "k"))

    assert (answer.status, open_to_all.status) == (200, 200)
    passed = dict(answer.body["headers"])
    assert re.fullmatch("[0-9]{13}", passed.pop("x-betting-received-at"))
    assert passed == {
        "host": "restate",
        "content-length": "2",
        "content-type": "application/json",
        "idempotency-key": "ann/k",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "webhook-signature": "t=1,v1=0",
        "x-betting-roles": "trader",
        "x-betting-user": "ann",
    }
    assert dict(open_to_all.body["headers"]) == {"host": "restate", "content-length": "0"}
    assert {name for name in answer.headers if name.startswith(("access-control", "x-envoy"))} == set()
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_what_passes_is_whose_it_is(gateway: Gateway) -> None:
    ann, tom = gateway.signer.token("ann"), gateway.signer.token("tom", roles=["trader", "auditor"])

    own = ask(gateway.url, DEPOSIT, bearer(ann), JSON, body=deposit("ann"))
    another = ask(gateway.url, DEPOSIT, bearer(ann), JSON, body=deposit("ben"))
    role = ask(gateway.url, "/WithdrawalWorkflow/w-1/approve", bearer(tom), JSON, body=b"{}")

    assert own.status == 200, own.content
    assert (another.status, another.reason) == (403, "not_yours")
    assert (role.status, role.reason) == (403, "role_needed")
    assert ask(gateway.url, "/PaymentService/webhook", JSON, body=b"{}").reason == "bad_signature"


def test_a_flood_is_stopped_of_a_user_and_of_an_address(door: Door, tmp_path: Path) -> None:
    with echo(port := free_port()), running_gateway(settings_for(port, keys_of(door), tls=True), tmp_path) as envoy:

        def refused(token: str, passed: int, count: int) -> Sequence[Answer]:
            answers = flood(envoy.url, ACCOUNT, bearer(token), count=count)
            assert {one.status for one in answers.answers} <= {passed, 429}
            return answers.refused

        told = eventually(lambda: refused(door.signer.token("ann"), 200, 300))
        other = ask(envoy.url, ACCOUNT, bearer(door.signer.token("ben")))
        eventually(lambda: refused("no.token.atall", 401, 800))

    assert {(one.reason, one.headers["retry-after"]) for one in told} == {("too_many_requests", "1")}
    assert other.status == 200


def test_the_resources_are_what_the_handlers_declare() -> None:
    [line] = re.findall(r"betting edge (--for envoy-gateway (?:.|\\\n)*?) > (\S+)", (ROOT / "Makefile").read_text())
    arguments, kept = line[0].replace("\\\n", "").split(), line[1]

    assert ROOT / kept == RESOURCES
    assert betting("edge", *arguments).stdout == RESOURCES.read_text(), "stale: make edge"


def test_the_translation_is_of_these_resources() -> None:
    said = f"stale: put egctl {VERSION} on the PATH, and python -m tests.edge.translated"

    assert f'"of": "{fingerprint()}"' in KEPT.read_text(), said


def test_envoy_gateway_accepts_the_resources_and_translates_them_the_same() -> None:
    if (program := egctl()) is None:
        pytest.skip(f"NO EGCTL: go install github.com/envoyproxy/gateway/cmd/egctl@{VERSION}, or name it in {OVERRIDE}")

    assert written(translated(program)) == KEPT.read_text()
