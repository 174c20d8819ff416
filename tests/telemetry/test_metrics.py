"""The numbers that prometheus-client keeps, over processes and their deaths."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.telemetry.counts import Counts
from app.telemetry.metrics import exported
from tests.helpers.exported import exported as exported_in
from tests.helpers.ports import free_port
from tests.running import clean_environment

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
ONE_CALL = "from app.telemetry.metrics import PROVIDER_CALLS; PROVIDER_CALLS.labels('charge', 'done').inc()"


def test_a_file_that_a_killed_process_had_only_made_takes_no_number_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = clean_environment() | {VARIABLE: str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", ONE_CALL], env=environment, check=True)
    (tmp_path / "histogram_1.db").touch()

    monkeypatch.setenv(VARIABLE, str(tmp_path))
    port = free_port()
    with closing(Counts(tmp_path)) as counts, exported(counts, "127.0.0.1", port):
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")

    assert answer.status_code == 200
    assert exported_in(answer.text, "betting_provider_calls_total") == {("charge", "done"): 2}
