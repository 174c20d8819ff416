"""A release on a real cluster, then: what the cluster around it does not let it have."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.people import deposited
from tests.e2e.running import NAMESPACE, ROOT, Release, kubectl, run, until

pytestmark = pytest.mark.e2e

RESOLVES = """
import socket
try:
    print(socket.getaddrinfo("betting-sandbox", 9090))
except OSError as error:
    print(error)
"""


@pytest.fixture
def operator(release: Release) -> Iterator[str]:
    """Who may do everything in the release's namespace, and nothing elsewhere."""
    who = f"{NAMESPACE}:operator"
    kubectl("create", "serviceaccount", "operator")
    kubectl("create", "rolebinding", "operator", "--clusterrole=admin", f"--serviceaccount={who}")
    yield f"system:serviceaccount:{who}"
    kubectl("delete", "serviceaccount/operator", "rolebinding/operator")


def test_1q_who_may_not_make_objects_of_the_whole_cluster_installs_without_the_policy(operator: str) -> None:
    chart = ("another", f"{ROOT}/charts/betting", f"--namespace={NAMESPACE}", "--set=versions.v1.image.tag=v1")
    install = ("helm", "install", *chart, "--dry-run=server", f"--kube-as-user={operator}")

    said = run(*install, ok=False)

    assert "validatingadmissionpolicies" in said
    assert "is forbidden" in said
    run(*install, "--set=release.admissionPolicy=false")


def test_1r_names_are_not_resolved_where_dns_is_elsewhere(release: Release, users: httpx.Client) -> None:
    release.upgrade("networkPolicy.dns[0].ipBlock.cidr=192.0.2.1/32", hooks=False)

    until(lambda: "Temporary failure in name resolution" in resolved(), "nothing is resolved")

    release.upgrade("networkPolicy.dns=null", hooks=False)
    until(lambda: "9090" in resolved(), "names are resolved again")
    deposited(users, "ann", 1)


def resolved() -> str:
    """What a pod of v1 is told about a name, without much patience."""
    impatient = "RES_OPTIONS=timeout:1 attempts:1"
    return kubectl("exec", "deploy/betting-v1", "--", "env", impatient, "python", "-c", RESOLVES)
