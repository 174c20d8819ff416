"""Plays a season against a running system, and keeps the model of it from what was asked and answered."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from app.simulation import plan
from app.simulation.board import THOUSAND, Market, Quote, text
from app.simulation.client import Answer, Client
from app.simulation.model import Bet, Leg, Model, Moments, Payment, Withdrawn, cash_out_bounds, price_is_fair
from app.simulation.plan import Action, Season
from app.simulation.tally import Tally

WALLET = "main"
LAST = {"accepted", "credited", "cashedOut", "held", "inReview"}
"""Answers that stay what they are, however often one asks."""
DEPOSIT_ENDED = {"credited", "declined", "failed", "cancelled", "refunded"}
WITHDRAWAL_ENDED = {"paid", "failed", "rejected", "timedOut", "sentBack"}
BECOMES = {"refund": "refunded", "chargeback": "chargedBack", "chargebackReversed": "credited"}
"""What a deposit is once its provider has moved the money back, or again."""
PATIENCE_SECONDS = 180.0
"""How long what was begun may take to end."""
POLL_SECONDS = 0.2

TAKES_MONEY = {"in_debt", "unknown_wallet", "insufficient_funds"}
NO_MARKET = {"market_not_open"}
MAY_BE_REFUSED: Mapping[str, set[str]] = {
    "bet": TAKES_MONEY
    | NO_MARKET
    | {"on_a_break", "market_suspended", "price_changed", "stake_too_high", "liability_limit"}
    | {"too_many_open_bets", "stake_limit", "loss_limit", "market_currency", "related_legs", "selection_withdrawn"},
    "cash-out": {"bet_not_open", "cash_out_unavailable", "cash_out_changed"},
    "deposit": {"deposit_limit", "payment_declined", "on_a_break", "currency_not_accepted"},
    "limit": {"currency_not_accepted"},
    "withdrawal": TAKES_MONEY,
    "price move": NO_MARKET | {"selection_withdrawn"},
    "withdraw": NO_MARKET,
    "suspend": NO_MARKET,
    "resume": NO_MARKET,
}
"""What may be refused for which reasons; any other no is a disagreement."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that will be repeated, and what it was answered."""

    path: str
    body: object
    answer: Answer


class Play:
    """One season on one system. `wrong` names every answer that the contract does not allow."""

    def __init__(self, client: Client, season: Season, model: Model, prefix: str) -> None:
        self.season = season
        self.model = model
        self.tally = Tally()
        self.wrong: list[str] = []
        self.checked = 0
        self.started = datetime.now(UTC)
        self.markets = {
            action.market: Market.offered(action) for action in season.actions if isinstance(action, plan.Offer)
        }
        model.withdrawn = {name: market.withdrawn for name, market in self.markets.items()}
        self._client = client
        self._prefix = prefix
        self._paid_in = {player: asyncio.Event() for player in season.players}
        self._repeated = {action.name for action in season.actions if isinstance(action, plan.Repeat)}
        self._sent: dict[str, Sent] = {}
        self._moving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One movement of a deposit's money at a time."""
        self._ending: set[str] = set()
        """Bets whose cash-out was asked for: they may not be open any more."""
        self._handlers: dict[type, Callable[[Any, str], Awaitable[None]]] = {
            plan.Deposit: self._deposit,
            plan.Withdrawal: self._withdraw,
            plan.TakeBack: self._take_back,
            plan.SendBack: self._send_back,
            plan.Limit: self._limit,
            plan.Break: self._break,
            plan.Offer: self._offer,
            plan.Move: self._move,
            plan.Turn: self._turn,
            plan.Withdraw: self._withdraw_selection,
            plan.Result: self._result,
            plan.Bet: self._bet,
            plan.CashOut: self._cash_out,
            plan.Repeat: self._repeat,
            plan.Reuse: self._reuse,
        }

    def id(self, name: str) -> str:
        """The id by which the system knows something of this season."""
        return f"{self._prefix}-{name}"

    async def play(self, clients: int, done: Callable[[], None]) -> None:
        """Do everything in the season, so many things at once."""
        actions = enumerate(self.season.actions)
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._work(actions, done))

    def expect(self, holds: bool, otherwise: str) -> None:
        """Count a check, and note what does not agree."""
        self.checked += 1
        if not holds:
            self.wrong.append(otherwise)

    async def _work(self, actions: Iterator[tuple[int, Action]], done: Callable[[], None]) -> None:
        for number, action in actions:
            await self._handlers[type(action)](action, self.id(f"action-{number}"))
            done()

    # Customers.

    async def _deposit(self, deposit: plan.Deposit, once: str) -> None:
        body = {
            "depositId": self.id(deposit.name),
            "userId": self.id(deposit.player),
            "walletId": WALLET,
            "email": f"{deposit.player}@example.com",
            "amount": deposit.amount,
            "paymentMethod": deposit.method,
        } | _named(deposit.currency)
        answer = await self._ask("deposit", deposit.name, "PaymentService/deposit", body)
        may_be = answer.reason != "currency_not_accepted" or deposit.currency is not None
        self.expect(may_be, f"{deposit.name}: the house's own currency: {answer.message}")
        payment = Payment(deposit.player, deposit.amount, str(answer.body.get("status", "refused")))
        self.model.deposits[deposit.name] = payment
        if payment.status == "actionRequired":
            await self._client.confirm(self.id(deposit.name))
        if answer.reason is None and payment.status not in DEPOSIT_ENDED:
            await self._deposit_ended(deposit.name, payment)
        self._paid_in[deposit.player].set()

    async def _deposit_ended(self, name: str, payment: Payment) -> None:
        async def look() -> bool:
            answer = await self._client.ask(f"DepositFollowUp/{self.id(name)}/status")
            payment.status = answer.body["status"]
            return payment.status in DEPOSIT_ENDED

        self.expect(await eventually(look), f"{name}: the deposit is still {payment.status}")

    async def _withdraw(self, withdrawal: plan.Withdrawal, once: str) -> None:
        await self._paid_in[withdrawal.player].wait()
        name = withdrawal.name
        body = {
            "withdrawalId": self.id(name),
            "userId": self.id(withdrawal.player),
            "walletId": WALLET,
            "amount": withdrawal.amount,
            "destination": withdrawal.destination,
        }
        answer = await self._ask("withdrawal", name, "PaymentService/withdraw", body)
        status = str(answer.body.get("status", "refused"))
        self.model.withdrawals[name] = Payment(withdrawal.player, withdrawal.amount, status)
        if status == "inReview":
            await self._client.ask(f"WithdrawalWorkflow/{self.id(name)}/approve", {"operator": "simulation"})

    async def _take_back(self, taken: plan.TakeBack, once: str) -> None:
        """The provider moves money of a credited deposit: back, and after a chargeback perhaps again."""
        was = "chargedBack" if taken.how == "chargebackReversed" else "credited"
        async with self._moving[taken.deposit]:  # asked again after its reversal, a chargeback would be a second one
            deposit = self.model.deposits.get(taken.deposit)
            if deposit is None or deposit.status != was:
                return
            await self._client.move_back("charges", self.id(taken.deposit), taken.how)
            deposit.status = BECOMES[taken.how]
        self.tally.count(taken.how, None)

    async def _send_back(self, sent: plan.SendBack, once: str) -> None:
        """The customer's bank sends a payout back, once it has been made."""
        withdrawal = self.model.withdrawals.get(sent.withdrawal)
        if withdrawal is None or withdrawal.status == "refused":
            return
        await self.withdrawal_ended(sent.withdrawal, withdrawal)
        if withdrawal.status == "paid":
            withdrawal.sent_back = True
            await self._client.move_back("payouts", self.id(sent.withdrawal), "sendBack")
            self.tally.count("sendBack", None)

    async def withdrawal_ended(self, name: str, withdrawal: Payment) -> None:
        """Wait until a withdrawal has ended, or come back where it has to."""

        async def look() -> bool:
            answer = await self._client.ask(f"WithdrawalWorkflow/{self.id(name)}/status")
            withdrawal.status = answer.body["status"]
            return withdrawal.status in ({"sentBack"} if withdrawal.sent_back else WITHDRAWAL_ENDED)

        self.expect(await eventually(look), f"{name}: the withdrawal is still {withdrawal.status}")

    async def _limit(self, limit: plan.Limit, once: str) -> None:
        body = {"kind": limit.kind, "period": limit.period, "amount": limit.amount} | _named(limit.currency)
        await self._ask("limit", f"limit of {limit.player}", self._player(limit.player, "setLimit"), body, once)

    async def _break(self, taken: plan.Break, once: str) -> None:
        await self._ask(
            "break", f"break of {taken.player}", self._player(taken.player, "takeBreak"), {"days": taken.days}
        )

    async def _bet(self, bet: plan.Bet, once: str) -> None:
        await self._paid_in[bet.player].wait()
        for market, _ in bet.picks:
            await self.markets[market].opened.wait()
        body, legs = self._request(bet)
        start = time.monotonic()
        answer = await self._ask(bet.kind, bet.name, self._player(bet.player, "placeBet"), body)
        self._expect_fitting_refusal(bet, answer)
        if answer.reason is None:
            self._take(bet, legs, answer.body, Moments(start, time.monotonic()))

    def _expect_fitting_refusal(self, bet: plan.Bet, answer: Answer) -> None:
        """A bet that can never be taken is refused, and only such a bet is refused as that."""
        markets = [self.markets[market] for market, _ in bet.picks]
        events = [market.offer.event for market in markets if market.offer.event is not None]
        wrong = {
            "market_currency": {market.offer.currency for market in markets} != {self._currency(bet.player)},
            "related_legs": len(set(events)) < len(events),
        }
        maybe = {
            "selection_withdrawn": any(self.markets[market].is_going(selection) for market, selection in bet.picks)
        }
        refused = answer.reason is not None or not any(wrong.values())
        rightly = (wrong | maybe).get(str(answer.reason), True)
        self.expect(refused and rightly, f"{bet.name}: is {wrong | maybe}: {answer.message}")

    def _request(self, bet: plan.Bet) -> tuple[dict[str, Any], list[Leg]]:
        seen = {
            market: self.markets[market].offer.prices[selection] if bet.late else self.markets[market].price(selection)
            for market, selection in bet.picks
        }
        body = {
            "betId": self.id(bet.name),
            "walletId": WALLET,
            "stake": bet.stake,
            "priceChange": bet.price_change,
            "legs": [
                {"marketId": self.id(market), "selectionId": selection, "price": text(seen[market])}
                for market, selection in bet.picks
            ],
        }
        if bet.system_size is not None:
            body["systemSize"] = bet.system_size
        asked = {market: Fraction(thousandths, THOUSAND) for market, thousandths in seen.items()}
        return body, [Leg(market, selection, asked[market], asked[market]) for market, selection in bet.picks]

    def _take(self, bet: plan.Bet, legs: list[Leg], told: Mapping[str, Any], struck: Moments) -> None:
        """Enter a bet that was accepted, or waits for a market in play."""
        for leg, taken in zip(legs, told["legs"], strict=True):
            leg.price = Fraction(taken["price"])
        known = Bet(bet.player, bet.stake, bet.system_size, bet.price_change, legs, told["totalStake"], told["status"])
        known.struck = struck
        self.model.bets[bet.name] = known
        lines = self.model.lines(known)
        self.expect(known.total_stake == bet.stake * lines, f"{bet.name}: {told['totalStake']} held for {lines} lines")
        if known.status == "delayed":
            return
        known.status = "open"
        potential = self.model.potential(known)
        self.expect(told["potentialReturn"] == potential, f"{bet.name}: may return {potential}, not {told}")
        self._expect_fair(bet.name, known)

    async def bet_decided(self, name: str, bet: Bet) -> None:
        """Wait until a bet on a market in play, which was delayed, has been accepted or refused."""
        told: Mapping[str, Any] = {}

        async def look() -> bool:
            nonlocal told
            told = await self.bet(name, bet)
            return bool(told["status"] != "delayed")

        if not await eventually(look):
            self.wrong.append(f"{name}: still delayed")
            return
        reason = told["refused"] and told["refused"]["reason"]
        self.tally.count("bet after its delay", reason)
        self.expect(reason is None or reason in MAY_BE_REFUSED["bet"], f"{name}: refused after its delay: {reason}")
        bet.status = "refused" if told["status"] == "refused" else "open"
        bet.struck = Moments(bet.struck.start + max(self._delays(bet)), time.monotonic())
        for leg, taken in zip(bet.legs, told["legs"], strict=True):
            leg.price = Fraction(taken["price"])
        if bet.status == "open":
            self._expect_fair(name, bet)

    async def bet(self, name: str, bet: Bet) -> Mapping[str, Any]:
        """A bet as its player sees it."""
        return (await self._client.ask(self._player(bet.player, "getBet"), {"betId": self.id(name)})).body

    def _delays(self, bet: Bet) -> list[int]:
        """How long those of a bet's markets that are in play let it wait, in seconds; the slowest counts."""
        return [delay for leg in bet.legs if (delay := self.markets[leg.market].offer.bet_delay_seconds)]

    def _expect_fair(self, name: str, bet: Bet) -> None:
        """A bet was taken at prices that its player agreed to, on what was on offer, and within the market's limit."""
        self.wrong += self._unfair(name, bet)
        for leg in bet.legs:
            market = self.markets[leg.market]
            offered = market.is_offered(leg.selection, bet.struck)
            self.expect(offered, f"{name}: taken on {leg.selection} of {leg.market}, which was on offer no more")
            most = market.offer.max_stake_per_player
            staked = sum(bet.total_stake for bet in self._surely_open(bet.player, leg)) if most is not None else 0
            self.expect(most is None or staked <= most, f"{name}: {staked} on {leg.selection} of {leg.market}")

    def _surely_open(self, player: str, leg: Leg) -> Iterator[Bet]:
        """The bets that a player surely has open on a selection: no result may have ended them."""
        for name, bet in self.model.bets.items():
            if bet.player != player or bet.status != "open" or name in self._ending:
                continue
            is_on_it = any((one.market, one.selection) == (leg.market, leg.selection) for one in bet.legs)
            if is_on_it and not any(self.markets[one.market].results for one in bet.legs):
                yield bet

    def _unfair(self, name: str, bet: Bet) -> list[str]:
        """Prices of a bet that were never on offer, or that its player did not agree to."""
        return [
            f"{name}: taken at {float(leg.price)} on {leg.market}, asked for {float(leg.asked)} ({bet.price_change})"
            for leg in bet.legs
            if not price_is_fair(bet.price_change, leg.asked, leg.price)
            or not self.markets[leg.market].was_on_offer(leg.selection, leg.price)
        ]

    async def _cash_out(self, cash_out: plan.CashOut, once: str) -> None:
        bet, name = self.model.bets.get(cash_out.bet), f"cash-out of {cash_out.bet}"
        if bet is not None and bet.status == "delayed":
            await self.bet_decided(cash_out.bet, bet)
        if bet is None or bet.status != "open":
            return
        body: dict[str, Any] = {"betId": self.id(cash_out.bet)}
        least = 0 if cash_out.min_share is None else max(1, bet.total_stake * cash_out.min_share // 100)
        if least > 0:
            body["minAmount"] = least
        self._ending.add(cash_out.bet)
        start = time.monotonic()
        answer = await self._ask("cash-out", name, self._player(bet.player, "cashOut"), body)
        paid = answer.body.get("amount")
        if answer.body.get("status") == "delayed":
            paid, start = await self._waited(cash_out.bet, bet), start + min(self._delays(bet))
        if answer.reason is not None or paid is None:
            return
        bet.status, bet.cashed_out = "cashedOut", paid
        cashed = Moments(start, time.monotonic())
        worth = [
            self.markets[leg.market].factors(leg, self.model.deductions(leg, bet.struck), cashed) for leg in bet.legs
        ]
        low, high = cash_out_bounds(bet.stake, worth, self.model.terms_of(bet.player)) if all(worth) else (1, 0)
        fits = max(low, least) <= bet.cashed_out <= high and bet.system_size is None
        self.expect(fits, f"{name}: paid {bet.cashed_out}, worth {low} to {high}, asked for at least {least}")

    async def _waited(self, name: str, bet: Bet) -> int | None:
        """What a cash-out in play has come to after its delay; None where it was refused then, and the bet went on."""
        told: Mapping[str, Any] = {}

        async def look() -> bool:
            nonlocal told
            told = await self.bet(name, bet)
            return told["cashOut"] is None or told["cashOut"]["status"] != "delayed"

        if not await eventually(look):
            self.wrong.append(f"cash-out of {name}: still delayed")
            return None
        reason = told["cashOut"] and told["cashOut"]["reason"]
        self.tally.count("cash-out after its delay", reason)
        allowed = MAY_BE_REFUSED["cash-out"] if told["status"] != "cashedOut" else {None}
        self.expect(reason in allowed, f"cash-out of {name}: {told['status']} after its delay: {reason}")
        return int(told["returned"]) if told["status"] == "cashedOut" else None

    async def _repeat(self, repeat: plan.Repeat, once: str) -> None:
        sent = self._sent.pop(repeat.name, None)
        if sent is None:
            return
        again = await self._client.ask(sent.path, sent.body)
        self.tally.answered("repeated request", again)
        same = (again.reason, again.body) == (sent.answer.reason, sent.answer.body)
        self.expect(same, f"{repeat.name}: answered {sent.answer.body}, then {again.body}")

    async def _reuse(self, reuse: plan.Reuse, once: str) -> None:
        bet = self.model.bets.get(reuse.bet)
        if bet is None:
            return
        body = {
            "betId": self.id(reuse.bet),
            "walletId": WALLET,
            "stake": bet.stake + 1,
            "legs": [{"marketId": self.id(leg.market), "selectionId": leg.selection, "price": "2"} for leg in bet.legs],
        }
        answer = await self._client.ask(self._player(bet.player, "placeBet"), body)
        self.tally.answered("id for another bet", answer)
        self.expect(answer.reason == "id_reused", f"{reuse.bet}: its id was taken for another bet: {answer.body}")

    # Operators of markets, who do one thing to a market at a time.

    async def _offer(self, offer: plan.Offer, once: str) -> None:
        limits = {
            "maxStake": offer.max_stake,
            "maxStakePerPlayer": offer.max_stake_per_player,
            "maxLiability": offer.max_liability,
            "betDelaySeconds": offer.bet_delay_seconds,
        }
        selections = [
            {"selectionId": name, "name": name.title(), "price": text(price)} for name, price in offer.prices.items()
        ]
        body: dict[str, Any] = {"name": f"Game {offer.market}", "selections": selections}
        body |= {name: limit for name, limit in limits.items() if limit is not None} | _named(offer.currency)
        if offer.event is not None:
            body["eventId"] = self.id(offer.event)
        if offer.closes_in is not None:
            body["closesAt"] = f"{datetime.now(UTC) + timedelta(seconds=offer.closes_in):%Y-%m-%dT%H:%M:%SZ}"
            self.markets[offer.market].closes_at = time.monotonic() + offer.closes_in
        await self._ask("market", offer.market, self._market(offer.market, "open"), body)
        self.markets[offer.market].opened.set()

    async def _move(self, move: plan.Move, once: str) -> None:
        market = self.markets[move.market]
        await market.opened.wait()
        async with market.busy:
            prices = {name: market.moved(name, percent) for name, percent in move.percent.items()}
            quotes = {name: Quote(price, time.monotonic()) for name, price in prices.items()}
            for name, quote in quotes.items():
                market.quotes[name].append(quote)
            body = {"prices": {name: text(price) for name, price in prices.items()}}
            answer = await self._ask("price move", move.market, self._market(move.market, "setPrices"), body, once)
            gone = any(market.is_going(name) for name in prices)
            fits = answer.reason is not None if gone else answer.reason != "selection_withdrawn"
            self.expect(fits, f"{move.market}: prices of {list(prices)}, withdrawn {market.withdrawn}: {answer.body}")
            for name, quote in quotes.items():
                if answer.reason is None:
                    quote.in_force_at = time.monotonic()
                else:
                    market.quotes[name].remove(quote)

    async def _turn(self, turn: plan.Turn, once: str) -> None:
        market = self.markets[turn.market]
        await market.opened.wait()
        async with market.busy:
            await self._ask(turn.handler, turn.market, self._market(turn.market, turn.handler), once=once)

    async def _withdraw_selection(self, withdrawal: plan.Withdraw, once: str) -> None:
        market = self.markets[withdrawal.market]
        await market.opened.wait()
        async with market.busy:
            withdrawn = Withdrawn(withdrawal.selection, withdrawal.deduction, time.monotonic())
            market.withdrawn.append(withdrawn)
            body = {"selectionId": withdrawal.selection, "deduction": withdrawal.deduction}
            path = self._market(withdrawal.market, "withdraw")
            answer = await self._ask("withdraw", withdrawal.market, path, body)
            withdrawn.answered_at = time.monotonic()
            if answer.reason is not None:
                market.withdrawn.remove(withdrawn)

    async def _result(self, result: plan.Result, once: str) -> None:
        market, name = self.markets[result.market], f"{result.market}:{result.version}"
        await market.opened.wait()
        async with market.busy:
            market.results.append((time.monotonic(), result.outcomes))
            self.model.results.setdefault(result.market, {})[result.version] = result.outcomes
            outcomes = {
                selection: _in_json(outcome)
                for selection, outcome in result.outcomes.items()
                if not market.is_going(selection)  # they are void, and need not be named
            }
            body = {"version": result.version, "outcomes": outcomes}
            deed = "result" if result.version == 1 else "correction"
            answer = await self._ask(deed, name, self._market(result.market, "settle"), body)
            market.settled_at = min(market.settled_at, time.monotonic())
        self.expect(answer.body.get("settlementId") == self.id(name), f"{name}: the run is {answer.body}")
        self.model.settlements.add(name)

    async def _ask(self, deed: str, name: str, path: str, body: object = None, once: str | None = None) -> Answer:
        answer = await self._client.ask(path, body, once)
        self.tally.answered(deed, answer)
        kind = "bet" if deed in {"single", "multiple", "system"} else deed
        allowed = answer.reason is None or answer.reason in MAY_BE_REFUSED.get(kind, set())
        self.expect(allowed, f"{name}: {answer.message}")
        if name in self._repeated and (answer.body.get("status") in LAST or answer.reason == "payment_declined"):
            self._sent[name] = Sent(path, body, answer)
        return answer

    def _currency(self, player: str) -> str | None:
        return self.season.currencies.get(player)

    def _player(self, player: str, handler: str) -> str:
        return f"PlayerService/{self.id(player)}/{handler}"

    def _market(self, market: str, handler: str) -> str:
        return f"MarketService/{self.id(market)}/{handler}"


async def eventually(look: Callable[[], Awaitable[bool]]) -> bool:
    """Whether something comes true within our patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


def _named(currency: str | None) -> dict[str, str]:
    """A request's currency; the house's is not named."""
    return {} if currency is None else {"currency": currency}


def _in_json(outcome: plan.Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"result": outcome.result}
    if outcome.deduction > 0:
        told["deduction"] = outcome.deduction
    if outcome.dead_heat is not None:
        told["deadHeat"] = dict(zip(("places", "tied"), outcome.dead_heat, strict=True))
    return told
