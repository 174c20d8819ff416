"""The books gate: no release starts on books that do not balance, cannot be read, or differ from the provider."""

from collections.abc import Callable

from app.release.gates.findings import Checked, Finding, Gate, Outcome
from app.release.numbers import read_books
from app.release.restate_admin import UnknownError
from app.release.watching import Books

FRESH_SECONDS = 300
"""How old the bookkeeper's last look may be. It looks every 30 s, or as long as a look takes.

So may its last comparison with the provider: each look makes one, which begins later than the look does.
"""


def check(look: Callable[[], str], now: float) -> Checked:
    """Ask the bookkeeper's numbers. `look` raises UnknownError where nobody tells them."""
    try:
        return decide(read_books(look()), now)
    except UnknownError as error:
        return Checked(Gate.BOOKS, Outcome.NOT_CHECKED, because=str(error))


def decide(seen: Books | None, now: float) -> Checked:
    """Decide by what the bookkeeper saw last, at a time in Unix seconds."""
    if seen is None or now - seen.seen_at > FRESH_SECONDS:
        age = "not looked yet" if seen is None else f"not looked for {now - seen.seen_at:.0f} s"
        return Checked(Gate.BOOKS, Outcome.NOT_CHECKED, because=f"the bookkeeper has {age}")
    findings = [] if seen.balanced else [Finding("books", "do not balance", "balanced", "not balanced")]
    findings += [
        Finding("books", f"differ from the provider: {kind}", "0", str(count))
        for kind, count in sorted(seen.differences.items())
    ]
    if seen.unreadable:
        findings.append(Finding("books", "documents of players cannot be read", "0", str(seen.unreadable)))
    if findings:
        return Checked(Gate.BOOKS, Outcome.FAILED, tuple(findings))
    if seen.compares and (seen.compared_at is None or now - seen.compared_at > FRESH_SECONDS):
        age = "yet" if seen.compared_at is None else f"for {now - seen.compared_at:.0f} s"
        because = f"the bookkeeper has not compared the books with the provider {age}"
        return Checked(Gate.BOOKS, Outcome.NOT_CHECKED, because=because)
    return Checked(Gate.BOOKS, Outcome.PASSED)
