"""Responsible gambling: limits that players set for themselves, breaks and self-exclusion.

A lower limit takes effect at once. A raise must be confirmed after a cooling-off time. The periods are rolling windows:
the last 24 hours, 7 days or 30 days. Amounts are in minor units.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from app.domain.access import Actor
from app.domain.model import MAX_AMOUNT, Moment, State, Wire, is_none
from app.domain.refusals import Refusal, Refused

MAX_USES = 50
"""The most uses that are stored separately for each kind of limit. Beyond it, the older half is merged by day."""


class LimitKind(StrEnum):
    """What a limit counts."""

    DEPOSIT = "deposit"
    STAKE = "stake"
    LOSS = "loss"


class Period(StrEnum):
    """The rolling window of a limit."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


WINDOW = {Period.DAY: timedelta(hours=24), Period.WEEK: timedelta(days=7), Period.MONTH: timedelta(days=30)}
IN_WORDS = {Period.DAY: "today", Period.WEEK: "this week", Period.MONTH: "this month"}
REASON = {
    LimitKind.DEPOSIT: Refusal.DEPOSIT_LIMIT,
    LimitKind.STAKE: Refusal.STAKE_LIMIT,
    LimitKind.LOSS: Refusal.LOSS_LIMIT,
}
assert WINDOW.keys() == IN_WORDS.keys() == set(Period)
assert REASON.keys() == set(LimitKind)

LimitAmount = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)]


class Use(State):
    """An amount that counts against limits from `at` on. `reference` is the id by which it can be removed.

    Without a currency, as earlier versions stored it, it is in the house's default currency.
    """

    at: Moment
    amount: int
    currency: str | None = Field(None, exclude_if=is_none)
    reference: str | None = Field(None, exclude_if=is_none)


class PendingChange(State):
    """A pending raise, or removal if `amount` is null. It can be confirmed from `effective_at` until `expires_at`."""

    amount: int | None
    effective_at: Moment
    expires_at: Moment


class Limit(State):
    """A limit, in minor units; null means no limit."""

    amount: int | None
    pending: PendingChange | None = None
    by: Actor | None = Field(None, exclude_if=is_none)
    """Who made the newest change; null if they are unknown."""

    def same_as(self, other: "Limit | None") -> bool:
        """Whether another limit is the same, whoever set it."""
        return other is not None and (self.amount, self.pending) == (other.amount, other.pending)


class RestrictionKind(StrEnum):
    """The kind of a restriction, during which a player can neither deposit nor bet."""

    BREAK = "break"
    SELF_EXCLUSION = "selfExclusion"


class Restriction(State):
    """A break or self-exclusion. A self-exclusion blocks even after `until`, until a reinstatement has taken effect."""

    kind: RestrictionKind
    until: Moment
    reinstated_at: Moment | None = None
    by: Actor | None = Field(None, exclude_if=is_none)
    """Who made the newest change: started it, extended it or asked for the reinstatement; null if unknown."""

    def blocks(self, now: datetime) -> bool:
        """Whether deposits and bets are blocked at this time."""
        if self.kind is RestrictionKind.BREAK:
            return now < self.until
        return self.reinstated_at is None or now < self.reinstated_at


class RestrictionView(Wire):
    """A restriction. `by` is who made its newest change, which only operators see."""

    kind: RestrictionKind
    until: Moment
    by: Actor | None = Field(None, exclude_if=is_none)


class LimitView(Wire):
    """The limit in force and the pending change. `by` is who made the newest change, which only operators see."""

    in_force: int | None
    pending: PendingChange | None
    by: Actor | None = Field(None, exclude_if=is_none)


class LimitUsage(LimitView):
    """A limit and its used amount in the current window. `remaining` is null if there is no limit.

    A limit in the default currency has no `currency`.
    """

    kind: LimitKind
    period: Period
    used: int
    remaining: int | None
    currency: str | None = Field(None, exclude_if=is_none)


def used(uses: Iterable[Use], period: Period, now: datetime) -> int:
    """The used amount in the window that ends now, in minor units, at least 0."""
    since = now - WINDOW[period]
    return max(0, sum(use.amount for use in uses if use.at > since))


def add_use(uses: Sequence[Use], use: Use, still_open: Iterable[str]) -> list[Use]:
    """Add a use and drop those outside the longest window. Beyond MAX_USES, merge the older half by currency and day.

    A merged positive use counts from its latest time on that day, and a merged negative one (a return) from its
    earliest. A merged use can therefore only make a limit stricter, never looser. A use whose reference is in
    `still_open` is not merged, because it may still be removed.
    """
    since = use.at - WINDOW[Period.MONTH]
    kept = [one for one in uses if one.at > since] + [use]
    if len(kept) <= MAX_USES:
        return kept
    oldest, newest = kept[: MAX_USES // 2], kept[MAX_USES // 2 :]
    open_references = set(still_open)
    return [
        *_by_day(one for one in oldest if one.reference not in open_references),
        *(one for one in oldest if one.reference in open_references),
        *newest,
    ]


def _by_day(uses: Iterable[Use]) -> list[Use]:
    days: dict[tuple[date, bool, str | None], Use] = {}
    for use in uses:
        day = (use.at.date(), use.amount < 0, use.currency)
        before = days.get(day)
        if before is None:
            days[day] = Use(at=use.at, amount=use.amount, currency=use.currency)
        else:
            at = min(before.at, use.at) if use.amount < 0 else max(before.at, use.at)
            days[day] = Use(at=at, amount=before.amount + use.amount, currency=use.currency)
    return list(days.values())


def limit_refusal(kind: LimitKind, period: Period, remaining: int) -> Refused:
    """The refusal for an exceeded limit, with its period and its remaining amount in minor units."""
    return Refused(
        reason=REASON[kind],
        message=f"{kind.value} limit: {remaining} left {IN_WORDS[period]}",
        metadata={"remaining": str(remaining), "period": period.value},
    )


def is_raise(before: int | None, after: int | None) -> bool:
    """Whether a change raises or removes a limit."""
    return before is not None and (after is None or after > before)


def change_limit(limit: Limit, amount: int | None, now: datetime, cooling_off: timedelta, confirm: timedelta) -> Limit:
    """Set a limit. A lower one takes effect at once and cancels a pending raise; a raise becomes pending.

    A repeated request for the same raise does not restart the cooling-off time.
    """
    if not is_raise(limit.amount, amount):
        return Limit(amount=amount)
    pending = limit.pending
    if pending is not None and pending.amount == amount and now < pending.expires_at:
        return limit
    effective_at = now + cooling_off
    waiting = PendingChange(amount=amount, effective_at=effective_at, expires_at=effective_at + confirm)
    return limit.model_copy(update={"pending": waiting})


def confirm_change(limit: Limit, now: datetime) -> Limit | Refused:
    """Put a pending raise into force, after its cooling-off time and before it expires."""
    if limit.pending is None:
        return Refused(reason=Refusal.NO_PENDING_CHANGE, message="no change of this limit is pending")
    if now < limit.pending.effective_at:
        wait = limit.model_dump(mode="json")["pending"]["effectiveAt"]
        return Refused(
            reason=Refusal.COOLING_OFF,
            message=f"this change can be confirmed from {wait} on",
            metadata={"effectiveAt": wait},
        )
    if now >= limit.pending.expires_at:
        return Refused(
            reason=Refusal.CHANGE_EXPIRED, message="this change was not confirmed in time; set the limit again"
        )
    return Limit(amount=limit.pending.amount)


def cancel_change(limit: Limit) -> Limit | Refused:
    """Cancel a pending raise."""
    if limit.pending is None:
        return Refused(reason=Refusal.NO_PENDING_CHANGE, message="no change of this limit is pending")
    return Limit(amount=limit.amount)


def restrict(current: Restriction | None, new: Restriction, now: datetime) -> Restriction | Refused:
    """Start a break or a self-exclusion. One in force can be extended or made stricter, never shortened or weakened."""
    if current is None or not current.blocks(now):
        return new
    softer = current.kind is RestrictionKind.SELF_EXCLUSION and new.kind is RestrictionKind.BREAK
    if softer or new.until < current.until:
        return _irrevocable(current)
    return new


def reinstate(
    current: Restriction | None, now: datetime, wait: timedelta, by: Actor | None
) -> Restriction | Refused | None:
    """Schedule the end of a self-exclusion that has run its term. It blocks until `wait` has passed."""
    if current is None or not current.blocks(now):
        return current
    if now < current.until:
        return _irrevocable(current)
    if current.reinstated_at is not None:
        return current
    return current.model_copy(update={"reinstated_at": now + wait, "by": by})


def restriction_refusal(restriction: Restriction) -> Refused:
    """The refusal of a deposit or bet by a restricted player."""
    until = restriction_view(restriction).model_dump(mode="json")["until"]
    if restriction.kind is RestrictionKind.BREAK:
        return Refused(reason=Refusal.ON_A_BREAK, message=f"on a break until {until}", metadata={"until": until})
    return Refused(
        reason=Refusal.SELF_EXCLUDED,
        message=f"self-excluded until {until}, and then until reinstated",
        metadata={"until": until},
    )


def restriction_view(restriction: Restriction, for_operator: bool = False) -> RestrictionView:
    """Build the view of a restriction. `until` is when the reinstatement takes effect, if there is one."""
    return RestrictionView(
        kind=restriction.kind,
        until=restriction.reinstated_at or restriction.until,
        by=restriction.by if for_operator else None,
    )


def add_months(moment: datetime, months: int) -> datetime:
    """Add calendar months. If the day does not exist in the target month, the result is that month's last day."""
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    first_of_next = datetime(year + (month == 11), (month + 1) % 12 + 1, 1, tzinfo=moment.tzinfo)
    last_day = (first_of_next - timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last_day))


def _irrevocable(current: Restriction) -> Refused:
    until = restriction_view(current).model_dump(mode="json")["until"]
    return Refused(
        reason=Refusal.IRREVOCABLE, message=f"in force until {until}; it cannot be shortened", metadata={"until": until}
    )
