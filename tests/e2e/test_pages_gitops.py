"""A release without Helm: the commands of docs/gitops.md, as a reader types them, in a namespace of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.console import Terminal, marked, reader_of_a_page
from tests.e2e.running import ROOT, asked_of_the_loop, until

pytestmark = pytest.mark.e2e

NAMESPACE = "shop"


@pytest.fixture
def typing(tmp_path: Path) -> Iterator[Terminal]:
    with reader_of_a_page(NAMESPACE, tmp_path) as shell:
        yield shell
    for made in ("betting.yaml", "prepare.yaml"):
        (ROOT / made).unlink(missing_ok=True)


def verdicts() -> dict[str, str]:
    told = asked_of_the_loop("status", "--output", "json", namespace=NAMESPACE)
    return {version["name"]: version["verdict"] for version in json.loads(told)["versions"]}


def test_11_a_chart_that_is_applied_twice_ships_both_versions(typing: Terminal) -> None:
    page = marked("docs/gitops.md", "test_11_a_chart_that_is_applied_twice_ships_both_versions")
    first, second, removal = by_version([example.command for example in page])

    for command in first:
        typing.type(command)
    until(lambda: verdicts() == {"v1": "live"}, "v1 is live, without a hook that registers it")

    for command in second:
        typing.type(command)
    assert verdicts()["v2"] == "live"
    assert "changed" not in typing.type(APPLY)
    until(lambda: verdicts()["v1"] == "retired", "v1 is retired")

    for command in removal:
        typing.type(command)


APPLY = f"kubectl apply --namespace {NAMESPACE} --server-side --filename betting.yaml"


def by_version(all_of_them: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The commands until v1 is there, those that ship v2, and those that remove both."""
    ships = next(number for number, command in enumerate(all_of_them) if "current=v2" in command)
    assert "kubectl delete" in all_of_them[-1]
    return all_of_them[:ships], all_of_them[ships:-1], all_of_them[-1:]
