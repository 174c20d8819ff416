"""Player protection: what a player's limits and restrictions block, and how the player changes them."""

from datetime import datetime, timedelta

from pydantic import Field

from app.domain.access import Actor
from app.domain.currency import money
from app.domain.messages import Message
from app.domain.model import Wire
from app.domain.player import Decision, Player, message
from app.domain.policy import Policy
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
    Use,
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
    """A limit, identified by kind, period and currency. Without a currency, it is the one in the default currency."""

    kind: LimitKind
    period: Period
    currency: str | None = None


class SetLimit(WhichLimit):
    """A request to set a limit, in minor units, or to remove it (null)."""

    amount: LimitAmount | None


class Reinstated(Wire):
    """The restriction that remains after a reinstatement was requested; null if there is none."""

    restriction: RestrictionView | None


class AllLimits(Wire):
    """Every possible limit, with its used amount."""

    limits: list[LimitUsage] = Field(default_factory=list)


def limit_of(player: Player, which: WhichLimit, policy: Policy) -> Limit:
    """The player's own limit; otherwise, for weekly deposits, the operator's default."""
    own = player.limits.get(_name(which, policy))
    if own is not None:
        return own
    is_weekly_deposits = (which.kind, which.period) == (LimitKind.DEPOSIT, Period.WEEK)
    return Limit(
        amount=policy.default_weekly_deposit_limit.of(_currency(which, policy)) if is_weekly_deposits else None
    )


def refuse_over_limit(
    player: Player, kind: LimitKind, amount: int, currency: str, now: datetime, policy: Policy
) -> Refused | None:
    """Refuse an amount, in minor units, that exceeds a limit of this kind and currency. Names the tightest limit."""
    uses = _uses(player, kind, currency, policy)
    in_force = _in_force(player, kind, currency, policy)
    left = {period: max(0, limit - used(uses, period, now)) for period, limit in in_force.items()}
    tightest = min(left, key=left.__getitem__, default=None)
    if tightest is None or amount <= left[tightest]:
        return None
    return limit_refusal(kind, tightest, left[tightest])


def has_own_limit(player: Player, kind: LimitKind, currency: str, policy: Policy) -> bool:
    """Whether any limit of this kind is in force. Without one, `refuse_over_limit` does not depend on the time."""
    return bool(_in_force(player, kind, currency, policy))


def _in_force(player: Player, kind: LimitKind, currency: str, policy: Policy) -> dict[Period, int]:
    limits = {
        period: limit_of(player, WhichLimit(kind=kind, period=period, currency=currency), policy).amount
        for period in Period
    }
    return {period: amount for period, amount in limits.items() if amount is not None}


def limit_usages(player: Player, now: datetime, policy: Policy, for_operator: bool = False) -> list[LimitUsage]:
    """All limits with used and remaining amounts, in minor units. Those in the default currency come first."""
    default, *others = _currencies(player, policy)
    usages = _usages_in(default, player, now, policy, for_operator)
    for currency in others:
        in_currency = _usages_in(currency, player, now, policy, for_operator)
        usages += [usage.model_copy(update={"currency": currency}) for usage in in_currency]
    return usages


def _usages_in(currency: str, player: Player, now: datetime, policy: Policy, for_operator: bool) -> list[LimitUsage]:
    usages = []
    for kind in LimitKind:
        for period in Period:
            limit = limit_of(player, WhichLimit(kind=kind, period=period, currency=currency), policy)
            spent = used(_uses(player, kind, currency, policy), period, now)
            usages.append(
                LimitUsage(
                    kind=kind,
                    period=period,
                    used=spent,
                    remaining=None if limit.amount is None else max(0, limit.amount - spent),
                    **_view(limit, now, for_operator).model_dump(by_alias=False),
                )
            )
    return usages


def _currencies(player: Player, policy: Policy) -> list[str]:
    """The default currency, and the other currencies in which the player has a wallet, a use or a limit."""
    named = {
        *(wallet.currency for wallet in player.wallets.values()),
        *(use.currency for uses in player.uses.values() for use in uses if use.currency is not None),
        *(name.split(".")[2] for name in player.limits if name.count(".") == 2),
    }
    return [policy.default_currency, *sorted(named - {policy.default_currency})]


def set_limit(
    player: Player, request: SetLimit, now: datetime, policy: Policy, by: Actor | None = None
) -> Decision[LimitView]:
    """Lower a limit at once, or request a raise, which needs a confirmation after the cooling-off time.

    Refuses a currency that is not accepted, unless the player already has a wallet, a use or a limit in it.
    """
    currency = _currency(request, policy)
    if currency not in _currencies(player, policy) and (refused := policy.refuse_currency(currency)) is not None:
        return Decision(player, refused)
    limit = limit_of(player, request, policy)
    changed = change_limit(limit, request.amount, now, policy.raise_cooling_off, policy.raise_confirm)
    return _limit_decision(player, request, changed, now, policy, by)


def confirm_limit(
    player: Player, request: WhichLimit, now: datetime, policy: Policy, by: Actor | None = None
) -> Decision[LimitView]:
    """Put a pending raise into force after its cooling-off time.

    Refuses with `no_pending_change`, `cooling_off` if it is too early, or `change_expired` if it is too late.
    """
    confirmed = confirm_change(limit_of(player, request, policy), now)
    return _limit_decision(player, request, confirmed, now, policy, by)


def cancel_limit_change(
    player: Player, request: WhichLimit, now: datetime, policy: Policy, by: Actor | None = None
) -> Decision[LimitView]:
    """Cancel a pending raise. Refuses with `no_pending_change` if there is none."""
    return _limit_decision(player, request, cancel_change(limit_of(player, request, policy)), now, policy, by)


def refuse_restricted(player: Player, now: datetime) -> Refused | None:
    """Refuse a deposit or bet with `on_a_break` or `self_excluded` if a restriction blocks the player now."""
    if player.restriction is None or not player.restriction.blocks(now):
        return None
    return restriction_refusal(player.restriction)


def take_break(player: Player, days: int, now: datetime, by: Actor | None = None) -> Decision[RestrictionView]:
    """Block the player's deposits and bets for a number of days.

    Refuses with `irrevocable` if this would end a restriction earlier or replace a self-exclusion that is in force.
    """
    return _restrict(player, Restriction(kind=RestrictionKind.BREAK, until=now + timedelta(days=days), by=by), now)


def self_exclude(player: Player, months: int, now: datetime, by: Actor | None = None) -> Decision[RestrictionView]:
    """Block the player's deposits and bets for a number of calendar months, and then until reinstatement.

    Refuses with `irrevocable` if this would end a restriction earlier.
    """
    until = add_months(now, months)
    return _restrict(player, Restriction(kind=RestrictionKind.SELF_EXCLUSION, until=until, by=by), now)


def reinstate_player(player: Player, now: datetime, policy: Policy, by: Actor | None = None) -> Decision[Reinstated]:
    """Reinstate a player whose self-exclusion has run its term. It takes effect after `policy.reinstate_wait`.

    Refuses with `irrevocable` before the end of the restriction.
    """
    outcome = reinstate(player.restriction, now, policy.reinstate_wait, by)
    if isinstance(outcome, Refused):
        return Decision(player, outcome)
    view = restriction_view(outcome) if outcome is not None and outcome.blocks(now) else None
    if outcome == player.restriction:
        return Decision(player, Reinstated(restriction=view))
    return Decision(
        player.changed(restriction=outcome), Reinstated(restriction=view), _restriction_told(player, view, now)
    )


def _limit_decision(
    player: Player, which: WhichLimit, outcome: Limit | Refused, now: datetime, policy: Policy, by: Actor | None
) -> Decision[LimitView]:
    if isinstance(outcome, Refused):
        return Decision(player, outcome)
    name = _name(which, policy)
    if outcome.same_as(player.limits.get(name)):
        return Decision(player, _view(outcome, now))
    after = player.changed(limits={**player.limits, name: outcome.model_copy(update={"by": by})})
    text = _limit_told(which, outcome, _currency(which, policy))
    told = message(after, ("limit", name, _stamp(now)), "Your limits have changed", text)
    return Decision(after, _view(outcome, now), told)


def _limit_told(which: WhichLimit, limit: Limit, currency: str) -> str:
    text = f"Your {which.kind} limit a {which.period} is now {_amount(limit.amount, currency)}."
    if limit.pending is not None:
        text += f" A change to {_amount(limit.pending.amount, currency)} waits for your confirmation."
    return text


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
    return message(player, ("restriction", _stamp(now)), "Your break or self-exclusion", text)


def _view(limit: Limit, now: datetime, for_operator: bool = False) -> LimitView:
    pending = limit.pending
    return LimitView(
        in_force=limit.amount,
        pending=pending if pending is not None and now < pending.expires_at else None,
        by=limit.by if for_operator else None,
    )


def _currency(which: WhichLimit, policy: Policy) -> str:
    return policy.default_currency if which.currency is None else which.currency


def _uses(player: Player, kind: LimitKind, currency: str, policy: Policy) -> list[Use]:
    """The uses in one currency. A use without a currency is in the default currency."""
    return [
        use
        for use in player.uses.get(kind, [])
        if currency == (policy.default_currency if use.currency is None else use.currency)
    ]


def _name(which: WhichLimit, policy: Policy) -> str:
    """The name of a limit in the document. In the default currency, it is the name that earlier versions use."""
    name = f"{which.kind.value}.{which.period.value}"
    currency = _currency(which, policy)
    return name if currency == policy.default_currency else f"{name}.{currency}"


def _amount(amount: int | None, currency: str) -> str:
    return "no limit" if amount is None else money(amount, currency)


def _stamp(now: datetime) -> str:
    return f"{now.timestamp():.3f}"
