import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dev.folder import Folder
from app.dev.ports import Ports
from tests.dev.commands import betting as command
from tests.helpers.deposits import credited, request, status
from tests.helpers.deposits import deposit as ask
from tests.helpers.ports import free_port_base
from tests.helpers.webhooks import event, send
from tests.running import System, running, start


def deposit(system: System, user: str) -> None:
    credited(system, request(walletId="w", userId=user, email="a@example.com"))


def wallets(system: System, user: str) -> dict[str, Any]:
    account: dict[str, Any] = system.call("PlayerService", "getAccount", key=user).json()["wallets"]
    return account


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked for its exit code."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False).returncode != 0


def test_the_ready_file_says_where_everything_is(system: System) -> None:
    facts = system.facts()
    base = int(facts["ingress"].rpartition(":")[2]) - 80

    assert facts == {
        **{name: Ports.plan(base).url(name) for name in ("ingress", "admin", "service", "sandbox", "metrics", "books")},
        "pids": facts["pids"],
    }
    assert set(facts["pids"]) == {"books", "restate", "service", "sandbox"}
    assert not any(is_gone(pid) for pid in facts["pids"].values())
    assert httpx.get(system.admin + "/health", trust_env=False).is_success


def test_the_deposit_of_the_readme_is_credited_and_told(betting: System) -> None:
    deposit(betting, "exampleUserId")

    assert wallets(betting, "exampleUserId")["w"]["cash"] == 100
    assert betting.eventually(lambda: betting.mails("a@example.com"))


@pytest.mark.parametrize("name", ["service", "restate", "sandbox", "books"])
def test_a_killed_process_is_started_again_and_the_money_is_there(system: System, name: Any) -> None:
    deposit(system, f"killed-{name}")
    system.kill(name)

    assert wallets(system, f"killed-{name}")["w"]["cash"] == 100
    deposit(system, f"after-killed-{name}")


def test_a_webhook_secret_is_made_once_for_a_folder_and_nobody_else_reads_it(tmp_path: Path) -> None:
    mine, others = Folder(tmp_path), Folder(tmp_path / "others")
    others.root.mkdir()
    secret = mine.webhook_secret()

    assert mine.webhook_secret() == secret
    assert others.webhook_secret() != secret
    assert len(secret) >= 64
    assert mine.secret.stat().st_mode & 0o077 == 0
    mine.forget()
    assert mine.webhook_secret() != secret


def test_without_a_secret_in_the_environment_service_and_sandbox_share_one_of_their_own(tmp_path: Path) -> None:
    with running(tmp_path, environment={"BETTING_WEBHOOK_SECRET": ""}) as system:
        body = request("threeDSecure")
        ask(system, body)
        reference = str(body["depositId"])
        assert send(system, body, event(body), secret="sandbox-webhook-secret").status_code == 401
        system.complete_three_d_secure(reference)

        assert system.eventually(lambda: status(system, body) == "credited")
        secret = Folder(tmp_path / "state").webhook_secret()
        assert send(system, body, event(body), secret=secret).status_code == 200
        assert secret not in (tmp_path / "output").read_text() + system.log()


def test_provider_and_mail_server_can_demand_to_know_who_we_are(tmp_path: Path) -> None:
    told = {
        "BETTING_PROVIDER_KEY": "k3y-of-the-provider",
        "BETTING_SMTP_SECURITY": "starttls",
        "BETTING_SMTP_USER": "us",
        "BETTING_SMTP_PASSWORD": "pa55-of-the-mail-server",
    }
    with running(tmp_path, environment=told) as system:
        refused = httpx.get(f"{system.sandbox}/charges/any", trust_env=False)
        deposit(system, "u")

        assert refused.status_code == 401
        assert system.eventually(lambda: system.mails("a@example.com"))
        said = (tmp_path / "output").read_text() + system.log()
        assert not [secret for secret in told.values() if "-of-the-" in secret and secret in said]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(tmp_path: Path, signum: signal.Signals) -> None:
    with running(tmp_path) as system:
        deposit(system, "u")
        pids = system.facts()["pids"].values()
        system.process.send_signal(signum)

        assert system.process.wait(60) == 0
        assert all(is_gone(pid) for pid in pids)
        assert not (tmp_path / "ready.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_state_outlives_a_kill_that_leaves_no_process_and_fresh_forgets_it(tmp_path: Path) -> None:
    base = free_port_base()
    with running(tmp_path, base=base) as system:
        deposit(system, "u")
        assert system.eventually(lambda: system.mails("a@example.com"))
        pids = system.facts()["pids"].values()
        system.process.kill()
    (tmp_path / "state" / "notes.txt").write_text("the developer's own")

    with running(tmp_path, base=base) as system:  # at once, on the same ports
        assert all(is_gone(pid) for pid in pids)
        assert wallets(system, "u")["w"]["cash"] == 100
        assert len(system.mails("a@example.com")) == 1

    with running(tmp_path, options=["--fresh"]) as system:
        assert wallets(system, "u") == {}
        assert system.mails("a@example.com") == []
    assert (tmp_path / "state" / "notes.txt").exists()


def test_a_signal_while_starting_leaves_nothing(tmp_path: Path) -> None:
    base = free_port_base()
    with start(tmp_path, base) as process:
        while not (tmp_path / "state" / "restate").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)

    assert process.wait(20) == 0
    assert not (tmp_path / "ready.json").exists()
    Ports.plan(base).require_free()


def test_a_folder_in_use_is_said(tmp_path: Path) -> None:
    with Folder(tmp_path).locked():
        answer = command("dev", f"--data={tmp_path}", f"--port-base={free_port_base()}")

    assert answer.returncode == 1
    assert f"{tmp_path} is in use by another `betting dev`" in answer.stderr


def test_a_process_that_cannot_start_is_shown_with_its_last_words(tmp_path: Path) -> None:
    answer = command(
        "dev",
        f"--data={tmp_path}",
        f"--port-base={free_port_base()}",
        environment={"RESTATE_DEFAULT_NUM_PARTITIONS": "many"},
    )

    assert answer.returncode == 1
    assert "restate ended at its start (exit code" in answer.stderr
    assert str(tmp_path / "logs" / "restate.log") in answer.stderr
