"""What is made and what is refused before an install or upgrade changes anything."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.release.cli import main, prepare


@dataclass
class Cluster:
    """A namespace with Secrets, each with the keys under which it says something."""

    secrets: dict[str, set[str]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    def versions(self, images: dict[str, str]) -> tuple[()]:
        return ()

    def tells(self, secret: str, key: str) -> bool:
        return key in self.secrets.get(secret, set())

    def has_signing_key(self) -> bool:
        return "signing key" in self.made

    def create_signing_key(self, private_pem: bytes, public: str) -> None:
        self.made.append("signing key")

    def has_webhook_secret(self) -> bool:
        return any(name != "signing key" for name in self.made)

    def create_webhook_secret(self, secret: str) -> None:
        self.made.append(secret)


@dataclass
class Release:
    cluster: Cluster


def prepared(cluster: Cluster, *arguments: str) -> Result:
    release: Any = Release(cluster)
    return CliRunner().invoke(prepare, ["--images={}", *arguments], obj=lambda: release)


def test_keys_are_made_at_the_first_install_and_kept_by_upgrades() -> None:
    cluster, other = Cluster(), Cluster()
    for _ in range(2):
        assert prepared(cluster, "--make-webhook-secret").exit_code == 0
    prepared(other, "--make-webhook-secret")

    assert len(cluster.made) == 2
    assert len(cluster.made[1]) >= 64
    assert cluster.made[1] != other.made[1]


def test_no_webhook_secret_is_told() -> None:
    cluster = Cluster()

    assert not any(made in prepared(cluster, "--make-webhook-secret").output for made in cluster.made)


@pytest.mark.parametrize("secrets", [{}, {"mine": set()}, {"mine": {"BETTING_PROVIDER_KEY"}}])
def test_secrets_without_a_webhook_secret_are_refused_and_nothing_is_made(secrets: dict[str, set[str]]) -> None:
    cluster = Cluster(secrets)

    refused = prepared(cluster, "--webhook-secret-in=mine", "--webhook-secret-in=more")

    assert refused.exit_code != 0
    assert "no Secret of service.secrets (mine, more) has the key BETTING_WEBHOOK_SECRET" in str(refused.exception)
    assert cluster.made == []


def test_one_of_several_secrets_may_have_the_webhook_secret() -> None:
    cluster = Cluster({"more": {"BETTING_WEBHOOK_SECRET"}})

    assert prepared(cluster, "--webhook-secret-in=mine", "--webhook-secret-in=more").exit_code == 0
    assert cluster.made == ["signing key"]


@pytest.mark.parametrize("command", main.commands)
def test_the_help_of_a_command_needs_no_cluster(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")

    answer = CliRunner().invoke(main, [command, "--help"])

    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith("Usage:")
