"""The door's configuration: what the chart keeps of it, and whether Envoy takes it."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.composition import SERVICES
from app.dev.binaries import envoy
from app.dev.certificate import certificate
from app.edge.bootstrap import bootstrap
from app.edge.bootstrap import certificate as named_certificate
from app.edge.chart import IN_CHART
from app.edge.routes import Route
from app.edge.template import as_yaml
from app.sandbox.identity import key_set, new_key, signing_key
from app.services.shell.access import public_handlers
from tests.chart.rendered import CHART, one, render
from tests.dev.commands import betting

KEPT = CHART / "files" / "edge.yaml"
OWN = {"issuer": "https://id.example", "rolesClaim": "realm_access.roles", "trustedProxies": 1}
"""With an issuer of one's own."""


def routes() -> list[Route]:
    return [Route(one.service, one.access.needs_token, one.handler, one.keyed) for one in public_handlers(SERVICES)]


def test_the_chart_keeps_what_the_handlers_declare() -> None:
    assert KEPT.read_text() == as_yaml(bootstrap(routes(), IN_CHART)), "stale: make edge"


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {**OWN, "jwks": "PUBLIC KEYS"},
        {**OWN, "jwksUri": "https://id.example/keys"},
        {**OWN, "jwksUri": "http://id.example:8443/keys"},
        {"tls": {"secret": "certificate"}, "origins": ["https://bet.example", "https://desk.example:8443"]},
    ],
    ids=str,
)
def test_envoy_takes_what_helm_fills_in(tmp_path: Path, chosen: Mapping[str, object]) -> None:
    keys = {"jwks": key_set(new_key())} if "jwks" in chosen else {}

    validated(tmp_path, filled_in({**chosen, **keys}))


def test_helm_names_the_key_server_by_host_and_port() -> None:
    servers = {
        uri: address(filled_in({**OWN, "jwksUri": uri}))
        for uri in ("https://id.example/keys", "http://id.example/keys", "https://id.example:8443/keys")
    }

    assert servers == {
        "https://id.example/keys": ("id.example", 443, True),
        "http://id.example/keys": ("id.example", 80, False),
        "https://id.example:8443/keys": ("id.example", 8443, True),
    }


def test_no_page_may_call_but_those_of_named_origins() -> None:
    closed = filled_in({})
    named = filled_in({"origins": ["https://bet.example", "http://desk.example:81"]})

    assert "cors" not in closed
    [host] = door(named)["route_config"]["virtual_hosts"]
    policy = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert policy["allow_origin_string_match"] == [
        {"safe_regex": {"regex": r"https://bet\.example|http://desk\.example:81"}}
    ]


def test_the_command_prints_a_configuration_that_envoy_takes(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(key_set(signing_key(tmp_path / "key.pem").read_bytes()))

    printed = betting("edge", "--issuer=https://id.example", f"--jwks={keys}", "--origin=https://bet.example")

    assert printed.returncode == 0, printed.stderr
    validated(tmp_path, printed.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--issuer is needed"),
        (("--issuer=i",), "one of --jwks-uri and --jwks"),
        (("--issuer=i", "--jwks-uri=ftp://keys"), "no http or https address"),
        (("--issuer=i", "--jwks-uri=https://keys", "--restate=8080"), "must be host:port"),
    ],
)
def test_a_configuration_that_lacks_something_is_not_printed(arguments: tuple[str, ...], said: str) -> None:
    printed = betting("edge", *arguments)

    assert (printed.returncode, printed.stdout) == (2, "")
    assert said in printed.stderr


def filled_in(values: Mapping[str, object]) -> str:
    """The configuration that the chart has with these values of the door."""
    objects = render(f"--set-json=edge={json.dumps(values)}")
    text: str = one(objects, "ConfigMap", "betting-edge")["data"]["envoy.yaml"]
    return text


def validated(folder: Path, text: str) -> None:
    """Have Envoy judge a configuration, with files that are here."""
    certificate(folder / "tls.pem")
    for name in ("tls.crt", "tls.key"):
        shutil.copy(folder / "tls.pem", folder / name)
    shutil.copy(CHART / "files" / "openapi.json", folder)
    (folder / "keys").mkdir()
    (folder / "keys" / "jwks.json").write_text(key_set(new_key()))
    file = folder / "envoy.yaml"
    (folder / "tls.yaml").write_text(as_yaml(named_certificate(replace(IN_CHART, tls_folder=str(folder)))))
    shutil.copy(CHART / "files" / "openapi.json", folder)
    file.write_text(text.replace("/etc/envoy/", f"{folder}/"))
    done = subprocess.run([envoy(), "--mode", "validate", "-c", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def door(text: str) -> dict[str, Any]:
    listeners = yaml.safe_load(text)["static_resources"]["listeners"]
    config: dict[str, Any] = listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]
    return config


def address(text: str) -> tuple[str, int, bool]:
    [server] = [one for one in yaml.safe_load(text)["static_resources"]["clusters"] if one["name"] == "key_server"]
    [where] = server["load_assignment"]["endpoints"][0]["lb_endpoints"]
    told = where["endpoint"]["address"]["socket_address"]
    return told["address"], told["port_value"], "transport_socket" in server
