"""What a version's Deployment says of its gates, where upgrades do not change it."""

import json
from collections.abc import Iterable

from app.release.gates.findings import Checked, Outcome
from app.release.plan import Gates

ANNOTATION = "betting/gates"
ASKING_SECONDS = 90
"""How long who asks the gates keeps others from it without renewing its note; after that, it has died in the middle."""
UNTOLD_SECONDS = 300
"""How long a version waits whose gates could not tell; what they found stays until somebody ships it again."""


def read(note: str | None, image: str, now: float, terms: str = "") -> Gates:
    """Read the note, at a time in Unix seconds. One about another image says nothing.

    Nor does an answer on other terms than these: what the values accept, which gates are on, how much they look at. A
    note of older code has none.
    """
    told = json.loads(note) if note else {}
    if not told or told["image"] != image:
        return Gates()
    if told["asking"]:
        return Gates(asked=now < told["at"] + ASKING_SECONDS)
    if terms and told.get("terms", terms) != terms:
        return Gates()
    lasts = told["final"] or now < told["at"] + UNTOLD_SECONDS
    return Gates(passed=told["passed"], failed=told["because"] if lasts else "")


def asking(image: str, now: float) -> str:
    """The note of who begins to ask."""
    return _written(image, now, asking=True)


def answered(image: str, checked: Iterable[Checked], now: float, terms: str = "") -> str:
    """The note of what the gates said on these terms; without any, they do not matter."""
    answers = tuple(checked)
    final = any(check.outcome is Outcome.FAILED for check in answers)
    return _written(image, now, all(check.passed for check in answers), because(answers), final, terms=terms)


def _written(
    image: str,
    now: float,
    passed: bool = False,
    because: str = "",
    final: bool = False,
    *,
    asking: bool = False,
    terms: str = "",
) -> str:
    told = {"image": image, "at": int(now), "passed": passed, "because": because, "final": final, "asking": asking}
    return json.dumps(told | ({"terms": terms} if terms else {}))


def because(checked: Iterable[Checked]) -> str:
    """Why a candidate does not pass, in one line; empty if it does."""
    return "; ".join(
        f"{check.gate}: {', '.join(map(str, check.findings)) or f'{check.outcome}, {check.because}'}"
        for check in checked
        if not check.passed
    )
