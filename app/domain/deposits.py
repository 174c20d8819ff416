"""Deposits: each is counted against the player's limits, then credited or released. Credits are never blocked."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from app.domain.access import PROVIDER
from app.domain.currency import money
from app.domain.model import Moment, Wire
from app.domain.payments import CHARGE_EVENTS, EventStatus
from app.domain.player import Decision, Deposit, DepositStatus, Player, TakenBack, message, post_entry
from app.domain.policy import Policy, method_name
from app.domain.protection import refuse_over_limit, refuse_restricted
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.responsible_gambling import LimitKind, Use, add_use
from app.domain.wallet import Account, Kind, Wallet, move

MAX_WALLETS = 20
"""The maximum number of a player's wallets, including those that a reserved deposit may still open."""
MAX_ID = 64
"""The maximum length of an id, in characters."""


class ReserveDeposit(Wire):
    """A request to count a deposit against the limits before any money moves. `amount` is in minor units."""

    deposit_id: str
    wallet_id: str
    amount: int
    currency: str | None
    payment_method: str
    email: str
    now: Moment


class EndDeposit(Wire):
    """The end of a deposit: the provider's definite answer, or the decision to give it up (`failed`)."""

    deposit_id: str
    now: Moment
    waited_for_customer: bool = False
    """Whether the charge waited for the customer (3-D Secure). It may then have been made during a restriction."""


class TakeBack(Wire):
    """A provider's event about the money of a deposit: a refund, a chargeback, or the reversal of a chargeback."""

    deposit_id: str
    status: EventStatus
    event_id: str | None = None
    now: Moment


def reserve_deposit(player: Player, request: ReserveDeposit, policy: Policy) -> Decision[Deposit]:
    """Reserve a deposit and count it against the limits.

    The first credit opens a new wallet; until then, its reserved deposits fix its currency. A repeated request changes
    nothing and returns the deposit as it now is. Refuses with `id_reused` if the deposit id is used for a different
    deposit.
    """
    held_currency = _currency_of(player, request.wallet_id)
    currency = request.currency or held_currency or policy.default_currency
    deposit = Deposit(
        wallet_id=request.wallet_id,
        amount=request.amount,
        currency=currency,
        payment_method=request.payment_method,
        email=request.email,
        reserved_at=request.now,
    )
    if (known := player.deposits.get(request.deposit_id)) is not None:
        same = _same_content(known, deposit, request.currency)
        return Decision(player, known if same else id_reused("depositId", request.deposit_id))
    refused = (
        refuse_restricted(player, request.now)
        or _refuse_other_currency(held_currency, currency)
        or policy.refuse_currency(currency)
        or _refuse_wallet(player, request.wallet_id)
        or _refuse_method(request.payment_method, policy)
        or refuse_over_limit(player, LimitKind.DEPOSIT, request.amount, currency, request.now, policy)
    )
    if refused is not None:
        return Decision(player, refused)
    assert request.amount > 0, "a deposit moves money in"
    use = Use(at=request.now, amount=request.amount, currency=currency, reference=request.deposit_id)
    reserved = player.changed(
        deposits={**player.deposits, request.deposit_id: deposit},
        uses=_counted(player, use),
    )
    return Decision(reserved, deposit)


def credit_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """Credit a deposit that the provider has charged, once, even if the deposit was released before.

    The money is taken back at once in two cases. Either the provider reported a refund or chargeback before the credit,
    or the charge waited for the customer and the player has been restricted in the meantime. In the second case, the
    provider must refund it.
    """
    deposit = player.deposits[request.deposit_id]
    if deposit.status is DepositStatus.CREDITED:
        return Decision(player, deposit)
    wallet_id = _wallet_for(player, deposit)
    opened = player.changed(
        wallets={**player.wallets, wallet_id: player.wallets.get(wallet_id) or Wallet(currency=deposit.currency)},
        email=_address(player, deposit),
    )
    assert opened.wallets[wallet_id].currency == deposit.currency, "a wallet has one currency"
    postings = move(Account.PROVIDER, Account.CASH, deposit.amount)
    after = post_entry(opened, wallet_id, Kind.DEPOSIT, request.deposit_id, postings, request.now, by=None)
    changes = {"status": DepositStatus.CREDITED, "balance": after.wallets[wallet_id].balance}
    credited = deposit.model_copy(
        update=changes | ({"credited_to": wallet_id} if wallet_id != deposit.wallet_id else {})
    )
    uses = after.uses
    if deposit.status is not DepositStatus.RESERVED:  # its release stopped counting it against the limits
        use = Use(at=request.now, amount=deposit.amount, currency=deposit.currency, reference=request.deposit_id)
        uses = _counted(after, use)
    after = after.changed(deposits={**after.deposits, request.deposit_id: credited}, uses=uses)
    told = message(
        after,
        ("deposit", request.deposit_id, "credited"),
        "Your deposit has arrived",
        f"We have credited {money(deposit.amount, deposit.currency)} to your wallet {wallet_id}.",
    )
    # The credit and the refund are separate movements, because the provider's statement shows both.
    if request.waited_for_customer and refuse_restricted(player, request.now) is not None:
        refund = {**credited.events, f"{EventStatus.REFUNDED}:": EventStatus.REFUNDED}
        credited = credited.model_copy(update={"events": refund, "refund_due": True})
        after = after.changed(deposits={**after.deposits, request.deposit_id: credited})
    return _balanced_with_events(Decision(after, credited, told), request.deposit_id, request.now)


def decline_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """End a deposit that the provider definitely declined, and stop counting it against the limits."""
    return _release(player, request, DepositStatus.DECLINED)


def cancel_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """End a deposit whose charge waited for the customer and is now void at the provider."""
    return _release(player, request, DepositStatus.CANCELLED)


def fail_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """End a deposit whose outcome was still unknown at the deadline."""
    return _release(player, request, DepositStatus.FAILED)


def take_back_deposit(player: Player, request: TakeBack) -> Decision[Deposit]:
    """Apply a refund, a chargeback or a reversal to a deposit, each event once and in any order.

    Cash becomes negative if the money has already been spent. An event that arrives before the credit takes effect with
    the credit.
    """
    assert request.status in CHARGE_EVENTS, f"{request.status} takes nothing back"
    deposit = player.deposits[request.deposit_id]
    if _name(request) in deposit.events:
        return Decision(player, deposit)
    noted = deposit.model_copy(update={"events": {**deposit.events, _name(request): request.status}})
    after = player.changed(deposits={**player.deposits, request.deposit_id: noted})
    return _balanced_with_events(Decision(after, noted), request.deposit_id, request.now)


def _balanced_with_events(decision: Decision[Deposit], deposit_id: str, now: datetime) -> Decision[Deposit]:
    """Make the ledger agree with all events about a credited deposit, with at most one movement.

    The result depends on which events arrived, not on their order. The whole deposit is taken back while it is
    refunded, or while there are more chargebacks than reversals.
    """
    player, deposit = decision.player, decision.player.deposits[deposit_id]
    wanted = _taken_back(deposit)
    if deposit.status is not DepositStatus.CREDITED or wanted is deposit.taken_back:
        return decision
    if wanted is not None and deposit.taken_back is not None:  # taken back already: only the reason changes
        renamed = deposit.model_copy(update={"taken_back": wanted})
        after = player.changed(deposits={**player.deposits, deposit_id: renamed})
        return Decision(after, renamed, decision.messages)
    wallet_id = deposit.credited_to or deposit.wallet_id
    if wanted is None:
        kind, postings = Kind.CHARGEBACK_REVERSED, move(Account.PROVIDER, Account.CASH, deposit.amount)
    else:
        kind, postings = _TAKEN_BACK_AS[wanted], move(Account.CASH, Account.PROVIDER, deposit.amount)
    by = None if deposit.refund_due else PROVIDER  # otherwise the house refunds it by its own rule
    after = post_entry(player, wallet_id, kind, deposit_id, postings, now, by)
    times = deposit.times_taken_back + (wanted is not None)
    changed = deposit.model_copy(update={"taken_back": wanted, "times_taken_back": times})
    after = after.changed(deposits={**after.deposits, deposit_id: changed})
    _assert_not_taken_twice(after, deposit_id, changed)
    subject, text = _TOLD[kind]
    told = message(
        after,
        ("deposit", deposit_id, kind, str(times)),
        subject,
        text.format(amount=money(deposit.amount, deposit.currency), wallet=wallet_id),
    )
    return Decision(after, changed, (*decision.messages, *told))


def _taken_back(deposit: Deposit) -> TakenBack | None:
    """Why the customer has the money of a credited deposit, by its events; None if the house has it."""
    told = Counter(deposit.events.values())
    if told[EventStatus.REFUNDED]:
        return TakenBack.REFUNDED
    if told[EventStatus.CHARGEBACK] > told[EventStatus.CHARGEBACK_REVERSED]:
        return TakenBack.CHARGED_BACK
    return None


_TAKEN_BACK_AS = {TakenBack.REFUNDED: Kind.DEPOSIT_REFUNDED, TakenBack.CHARGED_BACK: Kind.DEPOSIT_CHARGED_BACK}
assert _TAKEN_BACK_AS.keys() == set(TakenBack)
_TOLD = {
    Kind.DEPOSIT_REFUNDED: (
        "Your deposit was refunded",
        "We have given {amount} from your wallet {wallet} back to where it came from.",
    ),
    Kind.DEPOSIT_CHARGED_BACK: (
        "Your deposit was charged back",
        "Your bank has taken back your deposit of {amount}; we have taken it from your wallet {wallet}.",
    ),
    Kind.CHARGEBACK_REVERSED: (
        "Your deposit is back",
        "Your bank has returned your deposit of {amount}; we have credited it to your wallet {wallet} again.",
    ),
}


def _assert_not_taken_twice(player: Player, deposit_id: str, deposit: Deposit) -> None:
    """Assert that the movements of a deposit that are still in the document never sum to more than its amount."""
    kinds = {Kind.DEPOSIT, Kind.DEPOSIT_REFUNDED, Kind.DEPOSIT_CHARGED_BACK, Kind.CHARGEBACK_REVERSED}
    moved = [
        entry.postings[Account.CASH]
        for entry in player.entries
        if entry.reference == deposit_id and entry.kind in kinds and entry.postings.get(Account.CASH)
    ]
    assert abs(sum(moved)) <= deposit.amount, f"deposit {deposit_id} moved {moved}"


def _name(request: TakeBack) -> str:
    """The name by which a repeated event is recognised: its status and its id, if it has one."""
    return f"{request.status}:{request.event_id or ''}"


def _release(player: Player, request: EndDeposit, status: DepositStatus) -> Decision[Deposit]:
    assert status not in (DepositStatus.RESERVED, DepositStatus.CREDITED), f"{status} is no release"
    deposit = player.deposits[request.deposit_id]
    if deposit.status is not DepositStatus.RESERVED:
        return Decision(player, deposit)
    ended = deposit.model_copy(update={"status": status})
    uses = [use for use in player.uses.get(LimitKind.DEPOSIT, []) if use.reference != request.deposit_id]
    after = player.changed(
        deposits={**player.deposits, request.deposit_id: ended}, uses={**player.uses, LimitKind.DEPOSIT: uses}
    )
    told = message(
        after.changed(email=_address(player, deposit)),
        ("deposit", request.deposit_id, "failed"),
        "Your deposit did not go through",
        f"Your deposit of {money(deposit.amount, deposit.currency)} was not made; nothing was credited.",
    )
    return Decision(after, ended, told)


def _address(player: Player, deposit: Deposit) -> str:
    """The address for messages about a deposit: the player's, or the deposit's if the player has none."""
    return deposit.email if player.email is None else player.email


def _currency_of(player: Player, wallet_id: str) -> str | None:
    """The currency of a wallet or, before its first credit, of its reserved deposits; None if it has neither."""
    if (wallet := player.wallets.get(wallet_id)) is not None:
        return wallet.currency
    return next((one.currency for one in _reserved(player) if one.wallet_id == wallet_id), None)


def _wallet_for(player: Player, deposit: Deposit) -> str:
    """The wallet to which a deposit is credited: the requested one, or a separate one in the deposit's currency.

    A released deposit no longer fixes the currency of its wallet. If its money arrives late, the wallet may have been
    opened in another currency.
    """
    wallet_id, number = deposit.wallet_id, 1
    while (wallet := player.wallets.get(wallet_id)) is not None and wallet.currency != deposit.currency:
        ending = f".{deposit.currency}" if number == 1 else f".{deposit.currency}.{number}"
        wallet_id, number = f"{deposit.wallet_id[: MAX_ID - len(ending)]}{ending}", number + 1
    return wallet_id


def _refuse_wallet(player: Player, wallet_id: str) -> Refused | None:
    wallets = {*player.wallets, *(deposit.wallet_id for deposit in _reserved(player))}
    if wallet_id in wallets or len(wallets) < MAX_WALLETS:
        return None
    return Refused(reason=Refusal.TOO_MANY_WALLETS, message=f"walletId: a player has at most {MAX_WALLETS} wallets")


def _reserved(player: Player) -> Iterator[Deposit]:
    return (deposit for deposit in player.deposits.values() if deposit.status is DepositStatus.RESERVED)


def _counted(player: Player, use: Use) -> dict[LimitKind, list[Use]]:
    reserved = (
        deposit_id for deposit_id, deposit in player.deposits.items() if deposit.status is DepositStatus.RESERVED
    )
    return {**player.uses, LimitKind.DEPOSIT: add_use(player.uses.get(LimitKind.DEPOSIT, []), use, reserved)}


def _same_content(known: Deposit, asked: Deposit, currency: str | None) -> bool:
    """Whether a request repeats a known one. A request without a currency matches a known one in any currency."""
    content = {"wallet_id", "amount", "payment_method", "email"} | ({"currency"} if currency is not None else set())
    return known.model_dump(include=content) == asked.model_dump(include=content)


def _refuse_other_currency(held: str | None, currency: str) -> Refused | None:
    if held is None or held == currency:
        return None
    return Refused(
        reason=Refusal.WALLET_CURRENCY,
        message=f"currency: this wallet is in {held}, not {currency}",
        metadata={"currency": held},
    )


def _refuse_method(payment_method: str, policy: Policy) -> Refused | None:
    if not policy.payment_methods or method_name(payment_method) in policy.payment_methods:
        return None
    return Refused(reason=Refusal.METHOD_NOT_ALLOWED, message=f"paymentMethod: {payment_method} is not taken here")
