"""What the release loop exports, of versions that run without Kubernetes.

    python -m tests.observability.release_loop ADMIN PORT WANTED KEY=URI ...

Restate's part of each observation is real; that each version has its pods is made up.
"""

import sys
import time

from prometheus_client import start_http_server

from app.release import metrics
from app.release.plan import Observed, Version, plan
from app.release.restate_admin import RestateAdmin

LOOK_SECONDS = 0.25


def main(admin: str, port: str, wanted: str, *versions: str) -> None:
    """Look, plan and show, and take no action, until somebody ends us."""
    running = tuple(_running(*version.split("=", 1)) for version in versions)
    start_http_server(int(port), "127.0.0.1")
    with RestateAdmin(admin) as restate:
        while True:
            metrics.EXPORTED.show(plan(Observed(running, wanted, restate.observe())))
            time.sleep(LOOK_SECONDS)


def _running(key: str, uri: str) -> Version:
    image = f"betting:{key}"
    return Version(key, uri, image, image, full_strength=1, replicas=1, available=1, protected=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
