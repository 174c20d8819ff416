"""What is made and what is refused before an install or upgrade changes anything."""

import json
import socket
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kubernetes.client.exceptions import ApiException

from app.release.cli import main, prepare
from app.release.cluster import AnchorGoneError
from app.release.lending import LENT_BECAUSE
from app.release.plan import Version
from app.release.restate_admin import UnknownError
from app.release.trial import NotStartedError
from tests.release.plans import version

MADE_FOR_THE_SANDBOX = ("--make-webhook-secret", "--make-token-key")


@dataclass
class Cluster:
    """A namespace with Secrets, each with the keys under which it says something."""

    secrets: dict[str, set[str]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    is_installed: bool = True
    breaks: Exception | None = None
    lent: dict[str, str] = field(default_factory=dict)

    def pods(self, component: str) -> list[Any]:
        meta = SimpleNamespace(name=socket.gethostname(), annotations=self.lent)
        return [SimpleNamespace(metadata=meta)]

    def way_back(self) -> str:
        if not self.is_installed:
            raise AnchorGoneError("the ConfigMap betting-release is gone")
        return "helm rollback betting 3 -n shop"

    def versions(self, images: dict[str, str]) -> tuple[Version, ...]:
        if self.breaks:
            raise self.breaks
        return tuple(version("v1", image="betting:a", declared_image=image) for image in images.values())

    def tells(self, secret: str, key: str) -> bool:
        return key in self.secrets.get(secret, set())

    def lacks_secret(self, name: str) -> bool:
        return name not in self.secrets

    def make_signing_key(self, private_pem: bytes, public: str) -> bool:
        return self._make("signing key", public)

    def make_webhook_secret(self, secret: str) -> bool:
        return self._make("webhook secret", secret)

    def make_token_key(self, private_pem: bytes, key_set: str) -> bool:
        assert b"PRIVATE KEY" in private_pem
        return self._make("token key", key_set)

    def _make(self, name: str, content: str) -> bool:
        absent = name not in self.made
        self.made.setdefault(name, content)
        return absent


@dataclass
class Release:
    cluster: Cluster
    own_image: str = "betting:b"


def prepared(cluster: Cluster, *arguments: str, images: str = "{}") -> Result:
    release: Any = Release(cluster)
    return CliRunner().invoke(prepare, [f"--images={images}", *arguments], obj=lambda: release)


def test_another_image_is_refused_with_what_it_is_and_would_become() -> None:
    cluster = Cluster()

    said = str(prepared(cluster, images='{"v1": "betting:b"}').exception)

    assert "versions.v1.image is betting:a and would become betting:b: versions are immutable" in said
    assert "nothing has changed. docs/operations.md#what-cannot-change" in said
    assert cluster.made == {}
    assert prepared(cluster, images='{"v1": "betting:a"}').exit_code == 0


@pytest.mark.parametrize(
    ("breaks", "cause"),
    [
        (None, "versions are immutable"),
        (ApiException(status=403, reason="Forbidden"), "Kubernetes: 403 Forbidden"),
        (UnknownError("Restate does not answer"), "Restate does not answer"),
        (NotStartedError("it does not start"), "it does not start"),
    ],
    ids=["refused", "no right", "Restate is away", "an image that does not start"],
)
def test_whatever_is_refused_ends_with_the_way_back(breaks: Exception | None, cause: str) -> None:
    said = str(prepared(Cluster(breaks=breaks), images='{"v1": "betting:b"}').exception)

    assert cause in said
    assert said.endswith("; to go back: helm rollback betting 3 -n shop")


def test_at_the_first_install_there_is_no_way_back_to_tell() -> None:
    said = str(prepared(Cluster(is_installed=False), images='{"v1": "betting:b"}').exception)

    assert "versions are immutable" in said
    assert "go back" not in said


def test_an_image_that_was_not_started_is_named_with_its_version_and_the_reason() -> None:
    cluster = Cluster(lent={LENT_BECAUSE: "ErrImagePull: no such image"})

    said = str(prepared(cluster, *MADE_FOR_THE_SANDBOX, images='{"v1": "betting:a", "v2": "betting:b"}').exception)

    assert said.startswith(
        "versions.v2.image betting:b does not start: ErrImagePull: no such image; nothing has changed"
    )
    assert cluster.made == {}


def test_an_image_that_was_lent_may_be_older_than_the_chart_and_says_the_same() -> None:
    lent, other = Cluster(lent={LENT_BECAUSE: "ErrImagePull"}), Cluster()

    assert "does not start: ErrImagePull" in str(prepared(lent, "--of-a-later-chart=1").exception)
    refused = prepared(other, "--of-a-later-chart=1")

    assert (refused.exit_code, other.made) == (2, {})
    assert "No such option: --of-a-later-chart=1" in refused.output


def test_a_secret_that_restate_needs_is_missed_before_anything_changes() -> None:
    without, there = Cluster(), Cluster({"store-keys": set()})

    said = str(prepared(without, "--needed-secret=store-keys").exception)

    assert "there is no Secret store-keys, without which Restate does not start; nothing has changed" in said
    assert without.made == {}
    assert prepared(there, "--needed-secret=store-keys").exit_code == 0


def test_keys_are_made_at_the_first_install_and_kept_by_upgrades() -> None:
    cluster, other = Cluster(), Cluster()
    told = [prepared(cluster, *MADE_FOR_THE_SANDBOX) for _ in range(2)]
    prepared(other, *MADE_FOR_THE_SANDBOX)

    assert [said.exit_code for said in told] == [0, 0]
    assert [len(said.output.splitlines()) for said in told] == [3, 0]
    assert set(cluster.made) == {"signing key", "webhook secret", "token key"}
    assert len(cluster.made["webhook secret"]) >= 64
    assert not set(cluster.made.values()) & set(other.made.values())


def test_the_door_is_given_the_public_part_of_the_key_that_signs_tokens() -> None:
    cluster = Cluster()
    prepared(cluster, "--make-token-key")

    [key] = json.loads(cluster.made["token key"])["keys"]

    assert (key["alg"], set(key) & {"d", "p", "q"}) == ("RS256", set())


def test_no_secret_is_told() -> None:
    cluster = Cluster()

    told = prepared(cluster, *MADE_FOR_THE_SANDBOX).output

    assert not any(content in told for content in cluster.made.values())


@pytest.mark.parametrize("secrets", [{}, {"mine": set()}, {"mine": {"BETTING_PROVIDER_KEY"}}])
def test_secrets_without_a_webhook_secret_are_refused_and_nothing_is_made(secrets: dict[str, set[str]]) -> None:
    cluster = Cluster(secrets)

    refused = prepared(cluster, "--webhook-secret-in=mine", "--webhook-secret-in=more")

    assert refused.exit_code != 0
    assert "no Secret of service.secrets (mine, more) has the key BETTING_WEBHOOK_SECRET" in str(refused.exception)
    assert cluster.made == {}


def test_one_of_several_secrets_may_have_the_webhook_secret() -> None:
    cluster = Cluster({"more": {"BETTING_WEBHOOK_SECRET"}})

    assert prepared(cluster, "--webhook-secret-in=mine", "--webhook-secret-in=more").exit_code == 0
    assert set(cluster.made) == {"signing key"}


@pytest.mark.parametrize("command", main.commands)
def test_the_help_of_a_command_needs_no_cluster(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")

    answer = CliRunner().invoke(main, [command, "--help"])

    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith("Usage:")
