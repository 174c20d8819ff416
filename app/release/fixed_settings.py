"""The settings of a version that cannot change once Restate knows it: what a rule reads decides work in flight."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from app.release.foundation import Change

PREFIX = "BETTING_"
DEFAULTS: Mapping[str, str] = {
    PREFIX + name.upper(): default
    for name, default in {
        "cash_out_margin_percent": "5",
        "charge_wait_seconds": "25",
        "default_currency": "EUR",
        "default_weekly_deposit_limit": "10000",
        "lookup_seconds": "10,60,600,3600",
        "market_books": "16",
        "max_open_bets": "200",
        "max_payout": "100000000",
        "max_payout_per_day": "",
        "payment_methods": "",
        "provider_window_seconds": "72000",
        "raise_confirm_seconds": "604800",
        "raise_cooling_off_seconds": "86400",
        "reinstate_seconds": "86400",
        "require_identity": "true",
        "review_threshold": "100000",
        "review_timeout_seconds": "86400",
        "unknown_deadline_seconds": "259200",
    }.items()
}
"""A replay that reads another value takes another path than its journal, or decides a wait again. All other settings
say how the world is reached and how the process runs; those may change in place. Each with the default of this code."""
FIXED = DEFAULTS.keys()


@dataclass(frozen=True)
class Known:
    """The fixed settings of a version when Restate came to know it."""

    given: Mapping[str, str]
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What its code takes for those that are not given; empty where that is not known, for other code has others."""


def given(settings: Mapping[str, str | None]) -> Mapping[str, str]:
    """The fixed ones among the settings of a pod; what comes from a Secret is out of sight."""
    return {name: value for name, value in settings.items() if name in FIXED and value is not None}


def changed(version: str, known: Known, wanted: Mapping[str, str]) -> Iterator[Change]:
    """The fixed settings that would become others; each by the name of the value that would keep it.

    A default that is written out changes nothing.
    """
    before = known.given
    for name in sorted(FIXED & (before.keys() | wanted.keys())):
        default = known.defaults.get(name)
        if before.get(name, default) != wanted.get(name, default):
            yield Change(f"versions.{version}.settings.{name}", before.get(name, ""), wanted.get(name, ""))


def note(known: Known) -> str:
    """Write them down."""
    return json.dumps(asdict(known), sort_keys=True)


def read(note: str | None) -> Known | None:
    """Read what was written down; None where nothing was."""
    return Known(**json.loads(note)) if note else None
