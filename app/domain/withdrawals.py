"""Withdrawals: the money is held at once and then paid out or returned. Restricted players can withdraw.

The outcome of a payout may stay unknown. Once a payout has been requested, its money is returned only if the provider
definitely declines it, or if the provider says twice that it has never seen it. Both answers must come after the window
in which the provider recognises a repeated payout.

Later events from the provider still count. If a returned payout turns out to have been paid, the money leaves the
wallet again. If a paid one is sent back, the money returns to the wallet.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.access import PROVIDER, Actor
from app.domain.currency import money
from app.domain.follow_up import Patience
from app.domain.model import Moment, State, Wire
from app.domain.payments import EventStatus, PaymentEvent, PaymentStatus, PayoutRequest
from app.domain.player import (
    Decision,
    Player,
    Review,
    Verdict,
    Withdrawal,
    WithdrawalStatus,
    message,
    post_entry,
    refuse_debit,
    refuse_short_funds,
)
from app.domain.policy import Policy
from app.domain.refusals import id_reused
from app.domain.wallet import Account, Kind, move

NOT_CARRIED_OUT = "it could not be carried out"
_TOLD = {Verdict.REJECTED: "we could not approve it", Verdict.TIMED_OUT: "it was not reviewed in time"}
NEVER_SEEN_APART = timedelta(minutes=5)
"""The longest required time between the two answers that a payout was never seen."""


class HoldWithdrawal(Wire):
    """A request to hold an amount, in minor units, for a payout."""

    withdrawal_id: str
    wallet_id: str
    amount: int
    destination: str
    now: Moment


class EndWithdrawal(Wire):
    """How a withdrawal ended. `message` tells the customer why the money was returned."""

    withdrawal_id: str
    now: Moment
    message: str = NOT_CARRIED_OUT
    review: Review | None = None


class WithdrawalOrder(Wire):
    """A withdrawal whose money is held, to be paid out."""

    withdrawal_id: str
    user_id: str
    withdrawal: Withdrawal

    @property
    def payout(self) -> PayoutRequest:
        """The request to the provider."""
        return PayoutRequest(
            reference=self.withdrawal_id,
            user_id=self.user_id,
            wallet_id=self.withdrawal.wallet_id,
            amount=self.withdrawal.amount,
            currency=self.withdrawal.currency,
            destination=self.withdrawal.destination,
        )


class PayoutStep(StrEnum):
    """The next step of a withdrawal."""

    PAY = "pay"
    """The provider has paid: post the payment to the ledger."""
    SEND_BACK = "sendBack"
    """The provider has paid, and the money has come back."""
    GIVE_BACK = "giveBack"
    PAY_AGAIN = "payAgain"
    """The provider has not seen the payout: send it again, while the provider recognises a repeated one."""
    WAIT = "wait"

    @property
    def is_end(self) -> bool:
        """Whether the step ends the search, because the outcome is known."""
        return self in {PayoutStep.PAY, PayoutStep.SEND_BACK, PayoutStep.GIVE_BACK}


class Search(State):
    """The progress of the search for a payout's outcome."""

    window_end: Moment
    """The end of the window in which the provider recognises a repeated payout."""
    tries: int = 0
    never_seen_at: Moment | None = None
    """When the provider first answered, after the window, that it has never seen the payout."""

    def tried(self) -> "Search":
        """Count one more look-up."""
        return self.model_copy(update={"tries": self.tries + 1})


class FollowedPayout(State):
    """A payout that is still looked up after its workflow ended.

    Each resumption starts a new turn. Look-ups of earlier turns are ignored.
    """

    order: WithdrawalOrder
    review: Review
    search: Search
    turn: int


def never_seen_apart(patience: Patience) -> timedelta:
    """The minimum time between the two answers that a payout was never seen."""
    return min(NEVER_SEEN_APART, timedelta(seconds=max(patience.pauses)))


def next_payout_step(
    search: Search, status: PaymentStatus, now: datetime, patience: Patience
) -> tuple[Search, PayoutStep]:
    """Decide the next step from the provider's answer about a payout. `now` is when the answer arrived."""
    match status:
        case PaymentStatus.DONE:
            return search, PayoutStep.PAY
        case PaymentStatus.DECLINED | PaymentStatus.CONFLICT:
            return search, PayoutStep.GIVE_BACK
        case PaymentStatus.NEVER_SEEN if now < search.window_end:
            return search, PayoutStep.PAY_AGAIN
        case PaymentStatus.NEVER_SEEN:
            first = now if search.never_seen_at is None else search.never_seen_at
            is_sure = now - first >= never_seen_apart(patience)
            search = search.model_copy(update={"never_seen_at": first})
            return search, PayoutStep.GIVE_BACK if is_sure else PayoutStep.WAIT
        case PaymentStatus.ACTION_REQUIRED:  # The provider has seen the payout, so the search starts again.
            return search.model_copy(update={"never_seen_at": None}), PayoutStep.WAIT
        case PaymentStatus.UNKNOWN:
            return search, PayoutStep.WAIT


def about_this_payout(withdrawal: Withdrawal, event: PaymentEvent) -> bool:
    """Whether the wallet, amount and currency of a signed event match the withdrawal.

    The caller has already matched the player and the reference.
    """
    told = (event.wallet_id, event.amount, event.currency)
    return told == (withdrawal.wallet_id, withdrawal.amount, withdrawal.currency)


def step_of_event(event: PaymentEvent) -> PayoutStep:
    """Decide the next step from a signed event about a payout.

    An event is trusted only if it says that money moved. Any other outcome is looked up at the provider.
    """
    match event.status:
        case EventStatus.PAID | EventStatus.DONE:
            return PayoutStep.PAY
        case EventStatus.SENT_BACK:
            return PayoutStep.SEND_BACK
        case EventStatus.DECLINED | EventStatus.REFUSED:
            return PayoutStep.WAIT
        case EventStatus.REFUNDED | EventStatus.CHARGEBACK | EventStatus.CHARGEBACK_REVERSED:  # only of deposits
            return PayoutStep.WAIT


def told_of(review: Review) -> str:
    """The explanation of a failed review for the customer. It never contains the operator's reason."""
    return review.message if review.message is not None else _TOLD.get(review.verdict, NOT_CARRIED_OUT)


class PublicWithdrawalStatus(StrEnum):
    """The status of a withdrawal, as customers and operators see it."""

    HELD = "held"
    IN_REVIEW = "inReview"
    PAYING_OUT = "payingOut"
    PAID = "paid"
    REJECTED = "rejected"
    TIMED_OUT = "timedOut"
    FAILED = "failed"
    SENT_BACK = "sentBack"


def public_status(withdrawal: Withdrawal, review: Review | None) -> PublicWithdrawalStatus:
    """The public status of a withdrawal. `review` counts only if none is stored with the withdrawal yet."""
    review = withdrawal.review or review
    match withdrawal.status:
        case WithdrawalStatus.HELD if review is not None and review.verdict.pays:
            return PublicWithdrawalStatus.PAYING_OUT
        case WithdrawalStatus.HELD:
            return PublicWithdrawalStatus.IN_REVIEW if withdrawal.in_review else PublicWithdrawalStatus.HELD
        case WithdrawalStatus.PAID:
            return PublicWithdrawalStatus.PAID
        case WithdrawalStatus.RETURNED if review is not None and review.verdict is Verdict.REJECTED:
            return PublicWithdrawalStatus.REJECTED
        case WithdrawalStatus.RETURNED if review is not None and review.verdict is Verdict.TIMED_OUT:
            return PublicWithdrawalStatus.TIMED_OUT
        case WithdrawalStatus.RETURNED:
            return PublicWithdrawalStatus.FAILED
        case WithdrawalStatus.SENT_BACK:
            return PublicWithdrawalStatus.SENT_BACK


def hold_withdrawal(player: Player, request: HoldWithdrawal, policy: Policy) -> Decision[Withdrawal]:
    """Hold the amount of a withdrawal and decide whether it needs a review.

    A repeated request changes nothing and returns the withdrawal as it now is. Refuses with `id_reused` if the
    withdrawal id is used for a different withdrawal.
    """
    content = (request.wallet_id, request.amount, request.destination)
    if (known := player.withdrawals.get(request.withdrawal_id)) is not None:
        if (known.wallet_id, known.amount, known.destination) == content:
            return Decision(player, known)
        return Decision(player, id_reused("withdrawalId", request.withdrawal_id))
    refused = refuse_debit(player, request.wallet_id) or refuse_short_funds(
        player.wallets[request.wallet_id], request.amount
    )
    if refused is not None:
        return Decision(player, refused)
    assert request.amount > 0, "a withdrawal moves money out"
    currency = player.wallets[request.wallet_id].currency
    threshold = policy.review_threshold.of(currency)  # None if the currency is no longer accepted: always review
    withdrawal = Withdrawal(
        wallet_id=request.wallet_id,
        amount=request.amount,
        currency=currency,
        destination=request.destination,
        held_at=request.now,
        in_review=threshold is None or request.amount >= threshold,
    )
    postings = move(Account.CASH, Account.PENDING_OUT, request.amount)
    after = post_entry(
        player, request.wallet_id, Kind.WITHDRAWAL_HELD, request.withdrawal_id, postings, request.now, by=None
    )
    held = {**after.withdrawals, request.withdrawal_id: withdrawal}
    return Decision(after.changed(withdrawals=held), withdrawal)


def pay_withdrawal(player: Player, request: EndWithdrawal) -> Decision[Withdrawal]:
    """Post the provider's payment of a withdrawal, once. If the money was returned, take it from the wallet again."""
    withdrawal = player.withdrawals[request.withdrawal_id]
    ended = WithdrawalStatus.PAID
    match withdrawal.status:
        case WithdrawalStatus.HELD:
            after, paid = _end(player, request, ended, Kind.WITHDRAWAL_PAID, Account.PENDING_OUT, Account.PROVIDER)
            subject = "Your withdrawal is paid"
            text = f"We have paid out {money(paid.amount, paid.currency)} to {paid.destination}."
        case WithdrawalStatus.RETURNED:
            after, paid = _end(player, request, ended, Kind.WITHDRAWAL_PAID_LATE, Account.CASH, Account.PROVIDER)
            subject = "Your withdrawal was paid after all"
            text = (
                f"We had given {money(paid.amount, paid.currency)} back to your wallet {paid.wallet_id}, "
                f"but they have been paid out to {paid.destination} after all; so we have taken them from it again."
            )
        case WithdrawalStatus.PAID | WithdrawalStatus.SENT_BACK:
            return _as_it_is(player, request)
    event = "paid" if withdrawal.status is WithdrawalStatus.HELD else "paidLate"
    return Decision(after, paid, message(after, ("withdrawal", request.withdrawal_id, event), subject, text))


def send_back_withdrawal(player: Player, request: EndWithdrawal) -> Decision[Withdrawal]:
    """Return the money of a payout that the customer's bank sent back, once."""
    if player.withdrawals[request.withdrawal_id].status is WithdrawalStatus.SENT_BACK:
        return _as_it_is(player, request)
    # Money comes back only after it was paid, so post the payment first. This changes nothing if it was posted already.
    paid = pay_withdrawal(player, request).player
    assert paid.withdrawals[request.withdrawal_id].status is WithdrawalStatus.PAID, "what comes back went out before"
    after, returned = _end(
        paid, request, WithdrawalStatus.SENT_BACK, Kind.PAYOUT_SENT_BACK, Account.PROVIDER, Account.CASH
    )
    told = message(
        after,
        ("withdrawal", request.withdrawal_id, "sentBack"),
        "Your withdrawal was sent back",
        f"Your withdrawal of {money(returned.amount, returned.currency)} to {returned.destination} was sent back to "
        f"us; the money is back in your wallet {returned.wallet_id}.",
    )
    return Decision(after, returned, told)


def return_withdrawal(player: Player, request: EndWithdrawal) -> Decision[Withdrawal]:
    """Return the held money to the player's cash, once. Changes nothing if the withdrawal is no longer held."""
    withdrawal = player.withdrawals[request.withdrawal_id]
    if withdrawal.status is not WithdrawalStatus.HELD:
        return _as_it_is(player, request)
    after, returned = _end(
        player, request, WithdrawalStatus.RETURNED, Kind.WITHDRAWAL_RETURNED, Account.PENDING_OUT, Account.CASH
    )
    told = message(
        after,
        ("withdrawal", request.withdrawal_id, "returned"),
        "Your withdrawal was given back",
        f"Your withdrawal of {money(returned.amount, returned.currency)} was not paid out ({request.message}); "
        f"the money is back in your wallet {returned.wallet_id}.",
    )
    return Decision(after, returned, told)


def _as_it_is(player: Player, request: EndWithdrawal) -> Decision[Withdrawal]:
    """Return a withdrawal that has already ended. Store its review if it was ended by an event that had none."""
    withdrawal = player.withdrawals[request.withdrawal_id]
    if request.review is None or withdrawal.review is not None:
        return Decision(player, withdrawal)
    noted = withdrawal.model_copy(update={"review": request.review})
    return Decision(player.changed(withdrawals={**player.withdrawals, request.withdrawal_id: noted}), noted)


def _end(
    player: Player, request: EndWithdrawal, status: WithdrawalStatus, kind: Kind, source: Account, target: Account
) -> tuple[Player, Withdrawal]:
    withdrawal = player.withdrawals[request.withdrawal_id]
    assert withdrawal.status is not status, f"a withdrawal is {status} once"
    held = withdrawal.status is WithdrawalStatus.HELD
    assert held == (source is Account.PENDING_OUT), "what is held leaves from where it is held, and nothing else does"
    postings = move(source, target, withdrawal.amount)
    review = request.review if withdrawal.review is None else withdrawal.review
    by = _caused_by(kind, review)
    after = post_entry(player, withdrawal.wallet_id, kind, request.withdrawal_id, postings, request.now, by)
    ended = withdrawal.model_copy(update={"status": status, "review": review})
    return after.changed(withdrawals={**after.withdrawals, request.withdrawal_id: ended}), ended


def _caused_by(kind: Kind, review: Review | None) -> Actor | None:
    """Who caused a movement of a withdrawal, if not the player: the provider, or the operator who decided."""
    if kind in {Kind.PAYOUT_SENT_BACK, Kind.WITHDRAWAL_PAID_LATE}:
        return PROVIDER
    if review is None:
        return None
    declined = kind is Kind.WITHDRAWAL_RETURNED and review.verdict.pays
    return PROVIDER if declined else review.by
