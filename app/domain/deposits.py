"""Deposits: reserved against the player's limits, then credited or released. Credits are never blocked."""

from app.domain.currency import money
from app.domain.model import Moment, Wire
from app.domain.player import Decision, Deposit, Player, Policy, book, message, method_name
from app.domain.protection import limit_reached, restricted
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.responsible_gambling import LimitKind, Use, add_use
from app.domain.wallet import Account, Kind, Wallet, move


class ReserveDeposit(Wire):
    """Count a deposit against the limits before any money moves."""

    deposit_id: str
    wallet_id: str
    amount: int
    currency: str | None
    payment_method: str
    email: str
    now: Moment


class EndDeposit(Wire):
    """The provider's definite word on a deposit, or our giving up on it (`failed`)."""

    deposit_id: str
    now: Moment


def reserve_deposit(player: Player, request: ReserveDeposit, policy: Policy) -> Decision[Deposit]:
    """Allow a deposit and count it at once. The same again is answered as it stands; other content is a conflict."""
    wallet = player.wallets.get(request.wallet_id)
    currency = request.currency or (wallet.currency if wallet is not None else policy.default_currency)
    deposit = Deposit(
        wallet_id=request.wallet_id,
        amount=request.amount,
        currency=currency,
        payment_method=request.payment_method,
        email=request.email,
        reserved_at=request.now,
    )
    if (known := player.deposits.get(request.deposit_id)) is not None:
        return Decision(player, known if _same_content(known, deposit) else id_reused("depositId", request.deposit_id))
    refused = (
        restricted(player, request.now)
        or _currency_refused(wallet, currency)
        or policy.not_accepted(currency)
        or _method_refused(request.payment_method, policy)
        or limit_reached(player, LimitKind.DEPOSIT, request.amount, currency, request.now, policy)
    )
    if refused is not None:
        return Decision(player, refused)
    use = Use(at=request.now, amount=request.amount, currency=currency, reference=request.deposit_id)
    reserved = player.changed(
        email=request.email,
        wallets={**player.wallets, request.wallet_id: wallet or Wallet(currency=currency)},
        deposits={**player.deposits, request.deposit_id: deposit},
        uses=_counted(player, use),
    )
    return Decision(reserved, deposit)


def credit_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """The money is ours: credit it, once. A deposit that had been given up is credited all the same."""
    deposit = player.deposits[request.deposit_id]
    if deposit.status == "credited":
        return Decision(player, deposit)
    after = book(
        player,
        deposit.wallet_id,
        Kind.DEPOSIT,
        request.deposit_id,
        move(Account.PROVIDER, Account.CASH, deposit.amount),
        request.now,
    )
    credited = deposit.model_copy(update={"status": "credited", "balance": after.wallets[deposit.wallet_id].balance})
    uses = after.uses
    if deposit.status != "reserved":  # its release had taken it off the limits
        use = Use(at=request.now, amount=deposit.amount, currency=deposit.currency, reference=request.deposit_id)
        uses = _counted(after, use)
    after = after.changed(deposits={**after.deposits, request.deposit_id: credited}, uses=uses)
    told = message(
        after.changed(email=deposit.email),
        ("deposit", request.deposit_id, "credited"),
        "Your deposit has arrived",
        f"We have credited {money(deposit.amount, deposit.currency)} to your wallet {deposit.wallet_id}.",
    )
    return Decision(after, credited, told)


def decline_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """The provider said a definite no: the limits get back what was reserved."""
    return _release(player, request, "declined")


def fail_deposit(player: Player, request: EndDeposit) -> Decision[Deposit]:
    """Nobody could tell what became of the charge until its deadline: the reservation ends."""
    return _release(player, request, "failed")


def _release(player: Player, request: EndDeposit, status: str) -> Decision[Deposit]:
    deposit = player.deposits[request.deposit_id]
    if deposit.status != "reserved":
        return Decision(player, deposit)
    ended = deposit.model_copy(update={"status": status})
    uses = [use for use in player.uses.get(LimitKind.DEPOSIT, []) if use.reference != request.deposit_id]
    after = player.changed(
        deposits={**player.deposits, request.deposit_id: ended}, uses={**player.uses, LimitKind.DEPOSIT: uses}
    )
    told = message(
        after.changed(email=deposit.email),
        ("deposit", request.deposit_id, "failed"),
        "Your deposit did not go through",
        f"Your deposit of {money(deposit.amount, deposit.currency)} was not made; nothing was credited.",
    )
    return Decision(after, ended, told)


def _counted(player: Player, use: Use) -> dict[LimitKind, list[Use]]:
    reserved = (deposit_id for deposit_id, deposit in player.deposits.items() if deposit.status == "reserved")
    return {**player.uses, LimitKind.DEPOSIT: add_use(player.uses.get(LimitKind.DEPOSIT, []), use, reserved)}


def _same_content(known: Deposit, asked: Deposit) -> bool:
    content = {"wallet_id", "amount", "currency", "payment_method", "email"}
    return known.model_dump(include=content) == asked.model_dump(include=content)


def _currency_refused(wallet: Wallet | None, currency: str) -> Refused | None:
    if wallet is None or wallet.currency == currency:
        return None
    return Refused(
        reason=Refusal.WALLET_CURRENCY,
        message=f"currency: this wallet is in {wallet.currency}, not {currency}",
        metadata={"currency": wallet.currency},
    )


def _method_refused(payment_method: str, policy: Policy) -> Refused | None:
    if not policy.payment_methods or method_name(payment_method) in policy.payment_methods:
        return None
    return Refused(reason=Refusal.METHOD_NOT_ALLOWED, message=f"paymentMethod: {payment_method} is not taken here")
