"""Withdrawals: held from the cash at once, then paid out, or given back. Restricted players can withdraw."""

from app.domain.currency import money
from app.domain.model import Moment, Wire
from app.domain.player import Decision, Player, Policy, Withdrawal, book, debit_refused, funds_short, message
from app.domain.refusals import id_reused
from app.domain.wallet import Account, Kind, move


class HoldWithdrawal(Wire):
    """Set money aside to be paid out."""

    withdrawal_id: str
    wallet_id: str
    amount: int
    destination: str
    now: Moment


class EndWithdrawal(Wire):
    """How a withdrawal ended; `reason` is told to the customer when the money comes back."""

    withdrawal_id: str
    now: Moment
    reason: str = ""


def hold_withdrawal(player: Player, request: HoldWithdrawal, policy: Policy) -> Decision[Withdrawal]:
    """Hold the money at once. The same again is answered as it stands; other content is a conflict."""
    content = (request.wallet_id, request.amount, request.destination)
    if (known := player.withdrawals.get(request.withdrawal_id)) is not None:
        if (known.wallet_id, known.amount, known.destination) == content:
            return Decision(player, known)
        return Decision(player, id_reused("withdrawalId", request.withdrawal_id))
    refused = debit_refused(player, request.wallet_id) or funds_short(player.wallets[request.wallet_id], request.amount)
    if refused is not None:
        return Decision(player, refused)
    currency = player.wallets[request.wallet_id].currency
    threshold = policy.review_threshold.of(currency)  # a currency that is no longer accepted is always reviewed
    withdrawal = Withdrawal(
        wallet_id=request.wallet_id,
        amount=request.amount,
        currency=currency,
        destination=request.destination,
        held_at=request.now,
        in_review=threshold is None or request.amount >= threshold,
    )
    postings = move(Account.CASH, Account.PENDING_OUT, request.amount)
    after = book(player, request.wallet_id, Kind.WITHDRAWAL_HELD, request.withdrawal_id, postings, request.now)
    held = {**after.withdrawals, request.withdrawal_id: withdrawal}
    return Decision(after.changed(withdrawals=held), withdrawal)


def pay_withdrawal(player: Player, request: EndWithdrawal) -> Decision[Withdrawal]:
    """The provider sent the money: it leaves the book, once."""
    withdrawal = player.withdrawals[request.withdrawal_id]
    if withdrawal.status != "held":
        return Decision(player, withdrawal)
    after, paid = _end(player, request, "paid", Kind.WITHDRAWAL_PAID, Account.PROVIDER)
    told = message(
        after,
        ("withdrawal", request.withdrawal_id, "paid"),
        "Your withdrawal is paid",
        f"We have paid out {money(paid.amount, paid.currency)} to {paid.destination}.",
    )
    return Decision(after, paid, told)


def return_withdrawal(player: Player, request: EndWithdrawal) -> Decision[Withdrawal]:
    """The money goes back to the player's cash, once."""
    withdrawal = player.withdrawals[request.withdrawal_id]
    if withdrawal.status != "held":
        return Decision(player, withdrawal)
    after, returned = _end(player, request, "returned", Kind.WITHDRAWAL_RETURNED, Account.CASH)
    told = message(
        after,
        ("withdrawal", request.withdrawal_id, "returned"),
        "Your withdrawal was given back",
        f"Your withdrawal of {money(returned.amount, returned.currency)} was not paid out ({request.reason}); "
        f"the money is back in your wallet {returned.wallet_id}.",
    )
    return Decision(after, returned, told)


def _end(player: Player, request: EndWithdrawal, status: str, kind: Kind, target: Account) -> tuple[Player, Withdrawal]:
    withdrawal = player.withdrawals[request.withdrawal_id]
    postings = move(Account.PENDING_OUT, target, withdrawal.amount)
    after = book(player, withdrawal.wallet_id, kind, request.withdrawal_id, postings, request.now)
    ended = withdrawal.model_copy(update={"status": status})
    return after.changed(withdrawals={**after.withdrawals, request.withdrawal_id: ended}), ended
