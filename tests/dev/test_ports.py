import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from app.dev.ports import Ports
from tests.dev.commands import betting
from tests.helpers.ports import free_port, free_port_base
from tests.running import ALONE


def test_a_base_moves_all_ports() -> None:
    assert Ports.plan(18_000) == Ports(
        ingress=18_080,
        admin=19_070,
        service=19_080,
        sandbox=19_090,
        smtp=19_025,
        node=19_122,
        metrics=19_095,
        books=19_101,
        edge=18_081,
        edge_metrics=19_102,
    )


def test_without_a_base_the_ports_are_the_usual_ones() -> None:
    assert astuple(Ports.plan(None)) == (8080, 9070, 9080, 9090, 1025, 5122, 9095, 9101, 8081, 9902)


def test_systems_that_run_side_by_side_share_no_port() -> None:
    bases = {free_port_base() for _ in range(30)}
    ports = [port for base in bases for port in astuple(Ports.plan(base))]

    assert len(bases) == 30
    assert len(ports) == len(set(ports))


def test_a_taken_port_is_named_with_its_purpose_and_cure(tmp_path: Path) -> None:
    base = free_port_base()
    with socket.create_server(("127.0.0.1", base + 1090)):
        answer = betting("dev", f"--port-base={base}", f"--data={tmp_path / 'state'}")

    assert answer.returncode == 1
    assert f"port {base + 1090} (the sandbox)" in answer.stderr
    assert "--port-base" in answer.stderr
    assert not (tmp_path / "state").exists()


def test_a_port_that_nothing_listens_on_can_still_be_taken_by_all_addresses() -> None:
    base = free_port_base()
    with socket.create_server(("0.0.0.0", base + 80)):
        answer = betting("dev", f"--port-base={base}")

    assert f"port {base + 80} (Restate's ingress)" in answer.stderr


@pytest.mark.parametrize("command", [["serve"], ["sandbox", "--smtp-port={port}"], ["sandbox", "--port={port}"]])
def test_a_process_alone_says_which_port_it_cannot_have(command: list[str]) -> None:
    taken, another = free_port(), free_port()
    port = str(taken)
    with socket.create_server(("127.0.0.1", taken)):
        options = [part.format(port=port) for part in command]
        answer = betting(*options, environment=ALONE | {"BETTING_PORT": port, "SANDBOX_PORT": str(another)})

    assert answer.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in answer.stderr
    assert "Traceback" not in answer.stderr
