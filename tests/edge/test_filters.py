"""What the door makes of a request, for each thing that an operator can decide."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key

from app.dev.certificate import certificate
from app.edge.bootstrap import certificate as named_certificate
from app.edge.settings import EdgeSettings, Limits, either_origin
from app.edge.template import as_yaml
from tests.edge.envoys import ACCOUNT, HOST, SLOW, RunningEnvoy, echo, running_envoy, settings_for
from tests.edge.raw import Answer, ask, bearer
from tests.edge.tokens import good_claims
from tests.helpers.nobody import nobody
from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually

SHARED_SECRET = b"a secret that has no place among public keys"
RSA, EC, ED = new_rsa_key(65_537, 2_048), new_ec_key(SECP256R1()), Ed25519PrivateKey.generate()
MARKET = "/MarketService/m-1/get"


def published() -> str:
    """Keys as a careless provider may publish them: without algorithms, and a shared secret among them."""
    keys: list[dict[str, Any]] = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key())), "kid": "ec"},
        {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(ED.public_key())), "kid": "ed"},
        {**jwt.algorithms.HMACAlgorithm.to_jwk(SHARED_SECRET, as_dict=True), "kid": "shared"},
    ]
    return json.dumps(
        {"keys": [{name: it for name, it in key.items() if name not in ("alg", "key_ops")} for key in keys]}
    )


def token(algorithm: str = "RS256", **claims: Any) -> str:
    keys = {"R": (RSA, "rsa"), "P": (RSA, "rsa"), "E": (EC, "ec"), "H": (SHARED_SECRET, "shared")}
    key, key_id = (ED, "ed") if algorithm == "EdDSA" else keys[algorithm[0]]
    return jwt.encode(good_claims("ann", **claims), key, algorithm, {"kid": key_id})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with echo(port := free_port()):
        yield port


@pytest.fixture(scope="module")
def usual(upstream: int) -> Iterator[RunningEnvoy]:
    with running_envoy(settings_for(upstream, published())) as envoy:
        yield envoy


def account(envoy: RunningEnvoy, *headers: tuple[str, str], signed: str | None = None, **others: Any) -> Answer:
    return ask(envoy.url, ACCOUNT, bearer(signed or token()), *headers, **others)


def passed(answer: Answer) -> dict[str, str]:
    assert answer.status == 200, answer
    return dict(answer.body["headers"])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_are_signed_with_an_algorithm_of_three(usual: RunningEnvoy, algorithm: str) -> None:
    assert account(usual, signed=token(algorithm)).status == 200


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS512", "HS256"])
def test_no_other_algorithm_is_taken_whatever_keys_are_published(usual: RunningEnvoy, algorithm: str) -> None:
    answer = account(usual, signed=token(algorithm))

    assert (answer.status, answer.reason) == (401, "unauthenticated")


def test_nothing_is_passed_on_but_what_is_listed(usual: RunningEnvoy) -> None:
    sent = [
        ("accept", "*/*"),
        ("cookie", "session=crumbs"),
        ("origin", "https://evil.example"),
        ("forwarded", "for=198.51.100.7"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-real-ip", "198.51.100.7"),
        ("x-request-id", "1"),
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-retry-on", "5xx"),
        ("x-restate-id", "inv_1"),
        ("kafka.topic", "t"),
        ("te", "trailers"),
        ("baggage", "a=b"),
        ("tracestate", "a=b"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-betting-received-at", "1000000000000"),
        ("content-type", "Application/JSON ; charset=utf-8"),
        ("webhook-signature", "t=1,v1=0"),
        ("idempotency-key", "k"),
    ]

    before = time.time()
    headers = dict(passed(account(usual, *sent, body=b"{}")))

    assert before - 1 < int(headers.pop("x-betting-received-at")) / 1000 < time.time() + 1
    assert headers == {
        "host": "restate",
        "content-length": "2",
        "content-type": "application/json",
        "idempotency-key": "ann/k",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "webhook-signature": "t=1,v1=0",
        "x-betting-roles": "",
        "x-betting-user": "ann",
    }


def test_who_shows_no_token_is_nobody(usual: RunningEnvoy) -> None:
    answer = ask(usual.url, MARKET, bearer(token()), ("x-betting-user", "ben"), ("idempotency-key", "k"))

    assert passed(answer) == {"host": "restate", "content-length": "0"}


def test_a_chunked_body_arrives_with_its_length(usual: RunningEnvoy) -> None:
    chunks = b"2\r\n{}\r\n0\r\n\r\n"
    kind = ("content-type", "application/json")

    with socket.create_connection((HOST, int(usual.url.rpartition(":")[2]))) as connection:
        lines = [f"POST {ACCOUNT} HTTP/1.1", "host: door", "connection: close", f"authorization: Bearer {token()}"]
        lines += [": ".join(kind), "transfer-encoding: chunked", "", ""]
        connection.sendall("\r\n".join(lines).encode() + chunks)
        told = connection.makefile("rb").read()

    assert b'["content-length", "2"]' in told


@pytest.mark.parametrize(
    ("named", "roles"),
    [
        (["trader", "auditor"], "auditor,trader"),
        ("trader auditor", "auditor,trader"),
        ("trader, auditor", "auditor,trader"),
        (["admin", "Trader", "trader,auditor", "provider", "anyone", "player", 7, None, {"trader": True}], ""),
        ({"first": "trader"}, "trader"),
        (True, ""),
        (None, ""),
    ],
)
def test_only_known_roles_of_a_list_or_a_text_pass(usual: RunningEnvoy, named: object, roles: str) -> None:
    assert passed(account(usual, signed=token(roles=named)))["x-betting-roles"] == roles


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["trader"]}}),
        ("https://bet.example/roles", {"https://bet.example/roles": ["trader"]}),
        ("a.b.c", {"a": {"b": {"c": "trader"}}, "roles": ["auditor"]}),
    ],
)
def test_the_claim_with_roles_is_found_by_name_or_path(upstream: int, claim: str, claims: dict[str, Any]) -> None:
    with running_envoy(settings_for(upstream, published(), roles_claim=claim)) as envoy:
        assert passed(account(envoy, signed=token(**claims)))["x-betting-roles"] == "trader"
        assert passed(account(envoy, signed=token(a="text", realm_access=["trader"])))["x-betting-roles"] == ""


def test_pages_of_named_origins_may_call_and_no_others(upstream: int) -> None:
    settings = settings_for(
        upstream,
        published(),
        origins=either_origin(["https://bet.example", "http://desk.example:81"]),
        has_origins=True,
    )
    asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")]

    def allowed(origin: str) -> tuple[str | None, str | None]:
        preflight = ask(envoy.url, ACCOUNT, ("origin", origin), *asked, method="OPTIONS")
        answer = account(envoy, ("origin", origin))
        name = "access-control-allow-origin"
        assert "access-control-allow-credentials" not in {**preflight.headers, **answer.headers}
        return preflight.headers.get(name), answer.headers.get(name)

    with running_envoy(settings) as envoy:
        for origin in ("https://bet.example", "http://desk.example:81"):
            assert allowed(origin) == (origin, origin)
        for origin in ("https://betxexample", "https://bet.example.evil", "http://bet.example", "null"):
            assert allowed(origin) == (None, None)


def as_kubernetes_mounts(folder: Path, made: Path) -> None:
    """A Secret with a certificate, put in place of the one before at once, by a link."""
    content = folder / made.stem
    content.mkdir()
    for name in ("tls.crt", "tls.key"):
        (content / name).write_bytes(made.read_bytes())
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..next").symlink_to(made.stem)
    (folder / "..next").replace(folder / "..data")


def presented(port: int) -> str:
    return ssl.get_server_certificate((HOST, port))


def test_it_speaks_tls_with_the_certificate_of_a_folder_and_takes_a_new_one_while_it_runs(
    upstream: int, tmp_path: Path
) -> None:
    made, later = certificate(tmp_path / "first.pem"), certificate(tmp_path / "second.pem")
    folder = tmp_path / "tls"
    folder.mkdir()
    as_kubernetes_mounts(folder, made)
    trusted = ssl.create_default_context(cafile=made)
    settings = settings_for(
        upstream, published(), tls=True, tls_folder=str(folder), tls_file=str(tmp_path / "tls.yaml")
    )
    (tmp_path / "tls.yaml").write_text(as_yaml(named_certificate(settings)))

    with running_envoy(settings) as envoy:
        port = int(envoy.url.rpartition(":")[2])
        with socket.create_connection((HOST, port)) as plain, trusted.wrap_socket(plain, server_hostname=HOST) as safe:
            safe.sendall(f"POST {MARKET} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n".encode())
            answered = safe.makefile("rb").readline()
        unencrypted = socket.create_connection((HOST, port))
        with unencrypted:
            unencrypted.sendall(b"POST / HTTP/1.1\r\nhost: door\r\n\r\n")
            assert unencrypted.recv(100) == b""
        assert presented(port) in made.read_text()
        as_kubernetes_mounts(folder, later)
        eventually(lambda: presented(port) in later.read_text())

    assert answered.startswith(b"HTTP/1.1 200")


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(upstream: int) -> None:
    with running_envoy(settings_for(upstream, published(), limits=Limits(answer_seconds=1))) as envoy:
        answer = account(envoy, ("traceparent", SLOW))

    assert (answer.status, answer.reason) == (504, "no_answer")


def test_without_restate_it_says_so_and_goes_on_when_it_is_there() -> None:
    upstream = free_port()
    with running_envoy(settings_for(upstream, published())) as envoy:
        answer = account(envoy)
        with echo(upstream):
            eventually(lambda: account(envoy).status == 200)

    assert (answer.status, answer.reason) == (503, "unavailable")


def test_a_connection_to_restate_that_does_not_come_about_is_tried_again_and_then_given_up() -> None:
    """As while a pod has just gone: longest three times two seconds, and a moment between."""
    with nobody() as gone, running_envoy(settings_for(gone, published())) as envoy:
        tries = count(1)

        def soon() -> bool:
            began = time.monotonic()
            answer = account(envoy)
            took = time.monotonic() - began
            assert (answer.status, answer.reason) == (503, "unavailable")
            assert envoy.number("envoy_cluster_upstream_rq_retry{") == 2 * next(tries)
            return took < 10  # what a planned restart may take of anybody's time

        eventually(soon)


def test_the_description_of_the_api_is_for_anyone_to_get(upstream: int, tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps({"openapi": "3.1.0", "info": {"description": "x" * 50_000}}))

    with running_envoy(settings_for(upstream, published(), openapi=str(file))) as envoy:
        got = ask(envoy.url, "/openapi.json", method="GET")
        posted = ask(envoy.url, "/openapi.json")

    assert (got.status, got.headers["content-type"]) == (200, "application/json")
    assert got.body["openapi"] == "3.1.0"
    assert posted.status == 404


def test_an_address_is_that_of_the_client_behind_trusted_proxies(upstream: int) -> None:
    few = Limits(per_address=2)

    def asked_by(address: str, settings: EdgeSettings, times: int) -> set[int]:
        with running_envoy(settings) as envoy:
            for _ in range(20):
                ask(envoy.url, MARKET, ("x-forwarded-for", "203.0.113.1"))
            return {ask(envoy.url, MARKET, ("x-forwarded-for", address)).status for _ in range(times)}

    trusting = settings_for(upstream, published(), limits=few, trusted_proxies=1)
    alone = settings_for(upstream, published(), limits=few)
    assert asked_by("203.0.113.2", trusting, 2) == {200}
    assert 429 in asked_by("203.0.113.2", alone, 40)  # anybody can write such a header
