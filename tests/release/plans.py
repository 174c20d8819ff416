"""Versions and their work, from which a plan is made."""

from dataclasses import replace
from datetime import UTC, datetime

from app.release.fixed_settings import Known
from app.release.plan import Deployment, Restate, Version, Work

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


SERVICES = frozenset({"Player", "Payment"})


def version(name: str, image: str = "", **facts: object) -> Version:
    image = image or f"betting:{name}"
    running = Version(name, f"http://betting-{name}/", image, image, 2, 2, 2, protected=True)
    return replace(running, **({"known_image": image, "known_settings": Known({})} | facts))  # type: ignore[arg-type]


def deployment(name: str, services: frozenset[str] = SERVICES) -> Deployment:
    return Deployment(f"dp_{name}", f"http://betting-{name}/", services)


def routed_to(name: str) -> dict[str, str]:
    return dict.fromkeys(SERVICES, f"dp_{name}")


def work(on: str | None, status: str = "suspended", service: str = "Player") -> Work:
    return Work(f"dp_{on}" if on else None, service, status, 1, NOON)


BOTH = (deployment("v1"), deployment("v2"))


V1, V2 = version("v1"), version("v2")


ON_V2 = Restate(BOTH, routed_to("v2"))
