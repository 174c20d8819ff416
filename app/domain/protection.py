"""How a player's own limits and restrictions act on the player: what they block, and how they change."""

from datetime import datetime, timedelta

from pydantic import Field

from app.domain.messages import Message
from app.domain.model import Wire
from app.domain.player import Decision, Player, Policy, message
from app.domain.refusals import Refused
from app.domain.responsible_gambling import (
    Limit,
    LimitAmount,
    LimitKind,
    LimitUsage,
    LimitView,
    Period,
    Restriction,
    RestrictionKind,
    RestrictionView,
    add_months,
    cancel_change,
    change_limit,
    confirm_change,
    limit_refusal,
    reinstate,
    restrict,
    restriction_refusal,
    restriction_view,
    used,
)


class WhichLimit(Wire):
    """A limit by what it counts and its window."""

    kind: LimitKind
    period: Period


class SetLimit(WhichLimit):
    """Set a limit in minor units, or remove it (null)."""

    amount: LimitAmount | None


class Standing(Wire):
    """The restriction after a request; null where there is none."""

    restriction: RestrictionView | None


class AllLimits(Wire):
    """Every limit there can be, with what is used of it."""

    limits: list[LimitUsage] = Field(default_factory=list)


def limit_of(player: Player, which: WhichLimit, policy: Policy) -> Limit:
    """The player's own setting, or the operator's default for weekly deposits."""
    own = player.limits.get(_name(which))
    if own is not None:
        return own
    default = (LimitKind.DEPOSIT, Period.WEEK)
    return Limit(amount=policy.default_weekly_deposit_limit if (which.kind, which.period) == default else None)


def limit_reached(player: Player, kind: LimitKind, amount: int, now: datetime, policy: Policy) -> Refused | None:
    """Refuse an amount that any limit of this kind does not let through, naming the tightest."""
    uses = player.uses.get(kind, [])
    in_force = {period: limit_of(player, WhichLimit(kind=kind, period=period), policy).amount for period in Period}
    left = {period: max(0, limit - used(uses, period, now)) for period, limit in in_force.items() if limit is not None}
    tightest = min(left, key=left.__getitem__, default=None)
    if tightest is None or amount <= left[tightest]:
        return None
    return limit_refusal(kind, tightest, left[tightest])


def limit_usages(player: Player, now: datetime, policy: Policy) -> list[LimitUsage]:
    """All limits with what is used and what remains."""
    usages = []
    for kind in LimitKind:
        for period in Period:
            limit = limit_of(player, WhichLimit(kind=kind, period=period), policy)
            spent = used(player.uses.get(kind, []), period, now)
            usages.append(
                LimitUsage(
                    kind=kind,
                    period=period,
                    used=spent,
                    remaining=None if limit.amount is None else max(0, limit.amount - spent),
                    **_view(limit, now).model_dump(by_alias=False),
                )
            )
    return usages


def set_limit(player: Player, request: SetLimit, now: datetime, policy: Policy) -> Decision[LimitView]:
    """Cut a limit at once, or ask for a raise."""
    limit = limit_of(player, request, policy)
    changed = change_limit(limit, request.amount, now, policy.raise_cooling_off, policy.raise_confirm)
    return _limit_decision(player, request, changed, now, policy)


def confirm_limit(player: Player, request: WhichLimit, now: datetime, policy: Policy) -> Decision[LimitView]:
    """Put a raise into force that has cooled off."""
    return _limit_decision(player, request, confirm_change(limit_of(player, request, policy), now), now, policy)


def cancel_limit_change(player: Player, request: WhichLimit, now: datetime, policy: Policy) -> Decision[LimitView]:
    """Take back a raise that waits."""
    return _limit_decision(player, request, cancel_change(limit_of(player, request, policy)), now, policy)


def restricted(player: Player, now: datetime) -> Refused | None:
    """Refuse what a restricted player may not do."""
    if player.restriction is None or not player.restriction.blocks(now):
        return None
    return restriction_refusal(player.restriction)


def take_break(player: Player, days: int, now: datetime) -> Decision[RestrictionView]:
    """Stop the player for some days."""
    return _restrict(player, Restriction(kind=RestrictionKind.BREAK, until=now + timedelta(days=days)), now)


def self_exclude(player: Player, months: int, now: datetime) -> Decision[RestrictionView]:
    """Stop the player for some months, and after them until a reinstatement."""
    return _restrict(player, Restriction(kind=RestrictionKind.SELF_EXCLUSION, until=add_months(now, months)), now)


def reinstate_player(player: Player, now: datetime, policy: Policy) -> Decision[Standing]:
    """Let a player back who asks for it after the end of a self-exclusion, a day later."""
    outcome = reinstate(player.restriction, now, policy.reinstate_wait)
    if isinstance(outcome, Refused):
        return Decision(player, outcome)
    view = restriction_view(outcome) if outcome is not None and outcome.blocks(now) else None
    if outcome == player.restriction:
        return Decision(player, Standing(restriction=view))
    return Decision(
        player.changed(restriction=outcome), Standing(restriction=view), _restriction_told(player, view, now)
    )


def _limit_decision(
    player: Player, which: WhichLimit, outcome: Limit | Refused, now: datetime, policy: Policy
) -> Decision[LimitView]:
    if isinstance(outcome, Refused):
        return Decision(player, outcome)
    if outcome == player.limits.get(_name(which)):
        return Decision(player, _view(outcome, now))
    after = player.changed(limits={**player.limits, _name(which): outcome})
    return Decision(after, _view(outcome, now), _limit_told(after, which, outcome, now))


def _limit_told(player: Player, which: WhichLimit, limit: Limit, now: datetime) -> tuple[Message, ...]:
    text = f"Your {which.kind} limit a {which.period} is now {_amount(limit.amount)}."
    if limit.pending is not None:
        text += f" A change to {_amount(limit.pending.amount)} waits for your confirmation."
    return message(player, f"limit.{_name(which)}.{_stamp(now)}", "Your limits have changed", text)


def _restrict(player: Player, new: Restriction, now: datetime) -> Decision[RestrictionView]:
    outcome = restrict(player.restriction, new, now)
    if isinstance(outcome, Refused):
        return Decision(player, outcome)
    view = restriction_view(outcome)
    return Decision(player.changed(restriction=outcome), view, _restriction_told(player, view, now))


def _restriction_told(player: Player, view: RestrictionView | None, now: datetime) -> tuple[Message, ...]:
    text = "You can deposit and bet again."
    if view is not None:
        text = f"You can neither deposit nor bet until {view.until:%Y-%m-%d %H:%M} UTC."
    return message(player, f"restriction.{_stamp(now)}", "Your break or self-exclusion", text)


def _view(limit: Limit, now: datetime) -> LimitView:
    pending = limit.pending
    return LimitView(
        in_force=limit.amount, pending=pending if pending is not None and now < pending.expires_at else None
    )


def _name(which: WhichLimit) -> str:
    return f"{which.kind.value}.{which.period.value}"


def _amount(amount: int | None) -> str:
    return "no limit" if amount is None else f"{amount} minor units"


def _stamp(now: datetime) -> str:
    return f"{now.timestamp():.3f}"
