"""Known bugs, each with the test that must turn red if it comes back: tests/test_mutants.py puts them in one by one.

A bug is written as a change of whole lines, `-` as they are and `+` as they would be wrong. Code that is rewritten
takes its bugs along: write them down as they would look in the new code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

DEPOSITS, DEPOSIT_TESTS = "app/domain/deposits.py", "tests/domain/test_deposits.py"
FOLLOW_UP, FOLLOW_UP_TESTS = "app/domain/follow_up.py", "tests/domain/test_follow_up.py"
CURRENCY_TESTS = "tests/domain/test_player_currencies.py"
WITHDRAWALS, WITHDRAWAL_TESTS = "app/domain/withdrawals.py", "tests/domain/test_withdrawals.py"
BETS, BET_TESTS = "app/domain/bets.py", "tests/domain/test_bets.py"
EXPOSURE_TESTS = "tests/domain/test_exposure.py"
MARKETS, MARKET_TESTS = "app/domain/markets.py", "tests/domain/test_markets.py"
SHARDS = "app/domain/shards.py"
FEED, FEED_TESTS = "app/domain/feed.py", "tests/domain/test_feed.py"
CONFLATION_TESTS = "tests/services/test_conflation.py"
SHELL, DEADLOCK_TESTS = "app/services/markets/markets.py", "tests/services/test_no_deadlock.py"
UNREADABLE_TESTS = "tests/services/test_unreadable_documents.py"
STUCK_SHARD_TEST = (
    f"{UNREADABLE_TESTS}::test_a_change_is_on_its_way_to_every_other_shard_and_prices_are_read_while_one_shard_is_stuck"
)
TELLING_TESTS = "tests/services/test_telling.py"
SUSPENSION_TEST = f"{TELLING_TESTS}::test_a_suspension_waits_for_its_shards_and_for_no_round"
RETURNS = "app/domain/settlement.py"
MODEL, TEXT_TESTS = "app/domain/model.py", "tests/domain/test_text.py"
HIGH_WATER, HIGH_WATER_TESTS = "app/domain/high_water.py", "tests/domain/test_high_water.py"
ACCESS, ACCESS_TESTS = "app/domain/access.py", "tests/domain/test_access.py"
REPLAY, REPLAY_TESTS = "app/release/gates/replay.py", "tests/release/test_replay_gate.py"
NODES, NODE_TESTS = "app/release/nodes.py", "tests/release/test_nodes.py"
WATCHER_TESTS = "tests/release/test_watcher.py"
CONNECTION_TESTS = "tests/test_connections.py"
KNOWN_TESTS, SETTINGS_TESTS = "tests/release/test_known.py", "tests/release/test_fixed_settings.py"
CONTRACT = "tests/domain/test_settlement.py::test_a_bet_returns_what_the_contract_says"


@dataclass(frozen=True)
class Mutant:
    """A bug: the file, the changed lines, and the test that notices."""

    name: str
    file: str
    diff: str
    killer: str

    def changes(self) -> Iterator[tuple[str, str]]:
        """What stands in the file, and what the bug makes of it; an empty line in the diff separates two places."""
        for is_change, lines in groupby(self.diff.splitlines(keepends=True), key=lambda line: line != "\n"):
            if is_change:
                place = list(lines)
                assert all(line[0] in "-+" for line in place), f"neither - nor +:\n{''.join(place)}"
                old, new = ("".join(line[1:] for line in place if line[0] == sign) for sign in "-+")
                yield old, new


MUTANTS = [
    # Money in and out.
    Mutant(
        "a deposit is credited before the charge is known",
        "app/services/payments/payments.py",
        """\
-    outcome = await provider_calls.charge(ctx, charge, window_end, dependencies().charge_wait)
+    early = EndDeposit(deposit_id=charge.reference, now=watch.reserved_at)
+    await ctx.object_call(player.credit_deposit, charge.user_id, early)
+    outcome = await provider_calls.charge(ctx, charge, window_end, dependencies().charge_wait)
""",
        "tests/services/test_deposits.py::test_a_decline_is_a_402_and_gives_the_limit_back[plain]",
    ),
    Mutant(
        "no answer from the provider is a decline",
        "app/providers/payments.py",
        """\
-    return PaymentOutcome(status=PaymentStatus.UNKNOWN, detail=detail[:500])
+    return PaymentOutcome(status=PaymentStatus.DECLINED, detail=detail[:500])
""",
        "tests/providers/test_payments.py::test_no_connection_is_unknown",
    ),
    Mutant(
        "an unknown outcome is followed up as a decline",
        "app/domain/follow_up.py",
        """\
-    if status in (PaymentStatus.DECLINED, PaymentStatus.CONFLICT):
+    if status in (PaymentStatus.DECLINED, PaymentStatus.CONFLICT, PaymentStatus.UNKNOWN):
""",
        "tests/domain/test_follow_up.py::test_what_the_providers_word_means",
    ),
    Mutant(
        "a stale declined event ends a charge that we know nothing of",
        FOLLOW_UP,
        """\
-    return Step.DECLINE if follow_up.waits_for_customer else Step.LOOK_UP
+    return Step.DECLINE
""",
        f"{FOLLOW_UP_TESTS}::test_a_declined_event_alone_never_ends_a_charge_that_we_know_nothing_of",
    ),
    Mutant(
        "the last early event overwrites a done one",
        FOLLOW_UP,
        """\
-    kept = sorted([*known, event], key=lambda one: one.status is EventStatus.DECLINED)[:MAX_EARLY_EVENTS]
+    kept = [event]
""",
        f"{FOLLOW_UP_TESTS}::test_a_done_event_is_never_overwritten",
    ),
    Mutant(
        "asking for a look-up puts off the one that is due",
        FOLLOW_UP,
        """\
-    at = now + pause if planned is None or planned <= now else min(now + pause, planned)
+    at = now + pause
""",
        f"{FOLLOW_UP_TESTS}::test_asking_for_a_look_up_never_puts_off_the_one_that_is_due",
    ),
    Mutant(
        "a chargeback that is told twice takes the money twice",
        DEPOSITS,
        """\
-    if deposit.status is not DepositStatus.CREDITED or wanted is deposit.taken_back:
+    if deposit.status is not DepositStatus.CREDITED or (wanted is None and deposit.taken_back is None):

-    if wanted is not None and deposit.taken_back is not None:  # taken back already: only the reason changes
+    if False:

-    if _name(request) in deposit.events:
-        return Decision(player, deposit)

-    assert abs(sum(moved)) <= deposit.amount, f"deposit {deposit_id} moved {moved}"
""",
        f"{DEPOSIT_TESTS}::test_events_in_any_order_and_however_often_come_to_the_same_end",
    ),
    Mutant(
        "late money makes a wallet of two currencies",
        DEPOSITS,
        """\
-    while (wallet := player.wallets.get(wallet_id)) is not None and wallet.currency != deposit.currency:
+    while (wallet := player.wallets.get(wallet_id)) is not None and wallet.currency == "none":
""",
        f"{DEPOSIT_TESTS}::test_no_wallet_ever_has_two_currencies",
    ),
    Mutant(
        "a declined deposit moves the mail to its address",
        DEPOSITS,
        """\
-    return deposit.email if player.email is None else player.email
+    return deposit.email
""",
        f"{DEPOSIT_TESTS}::test_the_address_is_that_of_the_first_credited_deposit",
    ),
    Mutant(
        "an event with a field twice is read by its last",
        "app/providers/webhooks.py",
        """\
-        json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
""",
        "tests/domain/test_provider_events.py::test_bytes_that_are_no_event_are_refused",
    ),
    Mutant(
        "a deposit counts when it is credited, not when it is reserved",
        DEPOSITS,
        """\
-        uses=_counted(player, use),

-    if deposit.status is not DepositStatus.RESERVED:  # its release stopped counting it against the limits
+    if True:
""",
        f"{DEPOSIT_TESTS}::test_the_limit_refusal_says_what_is_left",
    ),
    Mutant(
        "a debt blocks a credit",
        DEPOSITS,
        """\
-    if deposit.status is DepositStatus.CREDITED:
+    if deposit.status is DepositStatus.CREDITED or any(wallet.cash < 0 for wallet in player.wallets.values()):
""",
        f"{DEPOSIT_TESTS}::test_a_deposit_is_credited_to_a_player_in_debt",
    ),
    Mutant(
        "money is held for a withdrawal without a look at the funds",
        "app/domain/withdrawals.py",
        """\
-    refused = refuse_debit(player, request.wallet_id) or refuse_short_funds(
-        player.wallets[request.wallet_id], request.amount
-    )
+    refused = refuse_debit(player, request.wallet_id)
""",
        "tests/domain/test_withdrawals.py::test_a_refusal_gives_the_document_back_untouched",
    ),
    # Withdrawals that were stopped, and what the provider says of payouts.
    Mutant(
        "a payout that the provider has not seen once is given back",
        WITHDRAWALS,
        """\
-            is_sure = now - first >= never_seen_apart(patience)
+            is_sure = True
""",
        f"{WITHDRAWAL_TESTS}::test_never_seen_counts_after_the_window_and_only_when_said_twice_some_minutes_apart",
    ),
    Mutant(
        "a payout that the provider would recognise is given back as never seen",
        WITHDRAWALS,
        """\
-        case PaymentStatus.NEVER_SEEN if now < search.window_end:
+        case PaymentStatus.NEVER_SEEN if False:
""",
        f"{WITHDRAWAL_TESTS}::test_never_seen_counts_after_the_window_and_only_when_said_twice_some_minutes_apart",
    ),
    Mutant(
        "an event that a payout was refused gives its money back, without a look-up",
        WITHDRAWALS,
        """\
-        case EventStatus.DECLINED | EventStatus.REFUSED:
-            return PayoutStep.WAIT
+        case EventStatus.DECLINED | EventStatus.REFUSED:
+            return PayoutStep.GIVE_BACK
""",
        f"{WITHDRAWAL_TESTS}::test_an_event_alone_never_gives_the_money_of_a_payout_back",
    ),
    Mutant(
        "a payout that is made after it was given back stays in the wallet",
        WITHDRAWALS,
        """\
-        case WithdrawalStatus.PAID | WithdrawalStatus.SENT_BACK:
-            return _as_it_is(player, request)
+        case WithdrawalStatus.PAID | WithdrawalStatus.SENT_BACK:
+            return _as_it_is(player, request)
+    if withdrawal.status is WithdrawalStatus.RETURNED:
+        return _as_it_is(player, request)
""",
        f"{WITHDRAWAL_TESTS}::test_a_payout_that_was_given_back_and_is_paid_after_all_leaves_the_wallet_once_more_even_into_debt",
    ),
    Mutant(
        "a payout is sent back as often as it is told",
        WITHDRAWALS,
        """\
-    if player.withdrawals[request.withdrawal_id].status is WithdrawalStatus.SENT_BACK:
-        return _as_it_is(player, request)
""",
        f"{WITHDRAWAL_TESTS}::test_what_is_sent_back_is_in_the_wallet_again_in_whatever_order_it_is_told",
    ),
    Mutant(
        "the customer reads the operator's reason",
        WITHDRAWALS,
        """\
-    return review.message if review.message is not None else _TOLD.get(review.verdict, NOT_CARRIED_OUT)
+    return review.reason
""",
        f"{WITHDRAWAL_TESTS}::test_the_reason_of_a_rejection_is_kept_for_the_file_and_never_told",
    ),
    Mutant(
        "a review whose run is gone is decided as if it lived",
        "app/services/payments/withdrawals.py",
        """\
-    if decided is None and await run_has_ended(ctx, order):
+    if False:
""",
        "tests/services/test_stopped_withdrawals.py::test_a_review_that_is_killed_gives_the_money_back_when_it_is_repeated_or_repaired[plain-resume]",
    ),
    # Stakes.
    Mutant(
        "a stake is held without a look at the funds",
        BETS,
        """\
-        or refuse_short_funds(player.wallets[request.wallet_id], bet.total_stake)
""",
        f"{BET_TESTS}::test_a_refusal_gives_the_document_back_untouched",
    ),
    Mutant(
        "a stake is stored before the markets are asked, and stays there when they refuse",
        "app/services/player/bets.py",
        """\
-        assert held.player is not before, "the markets are asked early for new bets only"
+        await commit(ctx, before, held)
""",
        "tests/services/test_bets.py::test_if_one_market_refuses_no_leg_stays_reserved[plain]",
    ),
    Mutant(
        "a stake is given back twice",
        BETS,
        """\
-    if not bet.status.can_be_released:
-        return Decision(player, bet)
-    assert (bet.returned, bet.ended_at) == (0, None), "a stake goes back instead of a return, never beside one"
-    postings = move(Account.LOCKED, Account.CASH, bet.total_stake)
+    postings = move(Account.LOCKED, Account.CASH, bet.total_stake)
""",
        f"{BET_TESTS}::test_a_refused_bet_gives_its_stake_back_once_and_counts_no_more",
    ),
    Mutant(
        "a stake that was given back goes on counting",
        BETS,
        """\
-    taken_back = _uses(after, bet_id, lambda use: [])
+    taken_back = after.uses
""",
        f"{BET_TESTS}::test_a_refused_bet_gives_its_stake_back_once_and_counts_no_more",
    ),
    Mutant(
        "a bet that a version without the mark placed passes for new once it is archived",
        HIGH_WATER,
        """\
-    return mark.bet_id if mark is not None and mark.movements == player.movements else None
+    return mark.bet_id if mark is not None else None
""",
        f"{HIGH_WATER_TESTS}::test_a_bet_that_an_earlier_version_placed_since_spoils_the_mark",
    ),
    Mutant(
        "an archive that a version without the mark began gets one that knows nothing of it",
        HIGH_WATER,
        """\
-    highest = _highest(before) if before.has_archive else max(before.bets, default="")
+    highest = _highest(before) or max(before.bets, default="")
""",
        f"{HIGH_WATER_TESTS}::test_an_archive_of_an_earlier_version_has_no_mark_for_ever",
    ),
    # Returns.
    Mutant(
        "a lost leg is taken for a void one",
        RETURNS,
        """\
-            return Fraction(0)
+            return Fraction(1)
""",
        CONTRACT,
    ),
    Mutant(
        "a bet with a lost leg stays open until its last leg is known",
        RETURNS,
        """\
-    least = _payout(stake, system_size, worst, max_payout)
+    least = None if any(outcome is None for _, outcome in legs) else _payout(stake, system_size, worst, max_payout)
""",
        CONTRACT,
    ),
    Mutant(
        "one void leg gives the whole stake of a multiple back",
        RETURNS,
        """\
-    least = _payout(stake, system_size, worst, max_payout)
+    if system_size is None and any(outcome is not None and outcome.result is Result.VOID for _, outcome in legs):
+        return stake
+    least = _payout(stake, system_size, worst, max_payout)
""",
        CONTRACT,
    ),
    Mutant(
        "one void leg gives the whole stake of a system back",
        RETURNS,
        """\
-    least = _payout(stake, system_size, worst, max_payout)
+    if system_size is not None and any(outcome is not None and outcome.result is Result.VOID for _, outcome in legs):
+        return stake * line_count(len(legs), system_size)
+    least = _payout(stake, system_size, worst, max_payout)
""",
        CONTRACT,
    ),
    Mutant(
        "each line is rounded by itself",
        RETURNS,
        """\
-    return floor(stake * _sum_over_lines(factors, size))
+    from itertools import combinations
+    return sum(floor(stake * prod(line)) for line in combinations(factors, size))
""",
        CONTRACT,
    ),
    Mutant(
        "a return is rounded up",
        RETURNS,
        """\
-    return floor(stake * _sum_over_lines(factors, size))
+    return -floor(-stake * _sum_over_lines(factors, size))
""",
        CONTRACT,
    ),
    # What the house risks.
    Mutant(
        "a bet counts at the prices asked of its other markets, whatever they took",
        BETS,
        """\
-        if leg.exposure != exact
+        if leg.exposure is None
""",
        f"{EXPOSURE_TESTS}::test_the_price_asked_does_not_switch_a_limit_off",
    ),
    Mutant(
        "a cash-out goes on counting",
        BETS,
        """\
-    if not _undecided(bet) or _counts(before) == counts:
+    if not counts or _counts(before) == counts:
""",
        f"{EXPOSURE_TESTS}::test_a_cash_out_frees_what_the_bet_counted_with_in_every_market",
    ),
    Mutant(
        "what a killed attempt reserved is taken for the bet that is asked for now",
        SHARDS,
        """\
-    shard, _ = release(shard, shard.newest, request.user_id, request.bet_id)
+    if shard.terms.status is MarketStatus.OPEN:
+        shard, _ = release(shard, shard.newest, request.user_id, request.bet_id)

-    assert name not in shard.newest.bets, "what was left of an earlier attempt is let go first"
+    if (known := shard.newest.bets.get(name)) is not None:
+        return shard, _accepted(shard, known)
""",
        f"{MARKET_TESTS}::test_a_bet_that_is_asked_again_after_a_kill_is_decided_as_the_market_is_now",
    ),
    Mutant(
        "a day that has paid its maximum pays on",
        BETS,
        """\
-    return of_bet if of_day is None else min(of_bet, of_day)
+    return of_bet
""",
        "tests/domain/test_day_limit.py::test_a_day_pays_no_more_than_its_maximum_and_the_bet_tells_what_was_withheld",
    ),
    Mutant(
        "a cash-out in play is paid at the price of the moment that it is asked for",
        BETS,
        """\
-    if delay > timedelta(0):
+    if delay < timedelta(0):
""",
        f"{BET_TESTS}::test_a_cash_out_in_play_waits_and_is_paid_at_the_price_of_that_moment",
    ),
    # Results and their corrections.
    Mutant(
        "an older result overwrites a newer one",
        BETS,
        """\
-    if leg.market_id != request.market_id or request.version <= leg.result_version:
+    if leg.market_id != request.market_id:
""",
        f"{BET_TESTS}::test_the_same_or_an_older_version_changes_nothing",
    ),
    Mutant(
        "a result that comes twice pays twice",
        BETS,
        """\
-    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED} or legs == bet.legs:
+    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED}:

-    difference = amount - bet.returned
+    difference = amount
""",
        f"{BET_TESTS}::test_a_result_that_comes_twice_pays_once",
    ),
    Mutant(
        "a market takes an older result for a correction",
        MARKETS,
        """\
-    if request.version < market.result_version:
-        return market
""",
        f"{MARKET_TESTS}::test_a_higher_version_corrects_and_any_other_changes_nothing",
    ),
    Mutant(
        "a correction pays the whole return again",
        BETS,
        """\
-    difference = amount - bet.returned
+    difference = amount
""",
        f"{BET_TESTS}::test_a_correction_moves_the_difference_also_below_zero",
    ),
    Mutant(
        "a settled bet is cashed out",
        BETS,
        """\
-    if bet.status is not BetStatus.OPEN:
+    if bet.status.can_be_released:

-    assert bet.status is BetStatus.OPEN, "a stake is released once"
""",
        f"{BET_TESTS}::test_a_cash_out_that_cannot_be_changes_nothing",
    ),
    Mutant(
        "a correction pays for a bet that was cashed out",
        BETS,
        """\
-    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED} or legs == bet.legs:
+    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED, BetStatus.CASHED_OUT} or legs == bet.legs:
""",
        f"{BET_TESTS}::test_a_cash_out_pays_once_and_nothing_comes_after_it",
    ),
    Mutant(
        "a leg that was given back counts as a bet that is settled",
        BETS,
        """\
-    known = sum(bet.status is not BetStatus.REFUSED for bet in placed)
+    known = len(request.bet_ids)
""",
        f"{BET_TESTS}::test_a_result_counts_the_bets_that_were_placed",
    ),
    Mutant(
        "a debt blocks a win",
        BETS,
        """\
-    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED} or legs == bet.legs:
+    in_debt = any(wallet.cash < 0 for wallet in player.wallets.values())
+    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED} or legs == bet.legs or in_debt:
""",
        f"{BET_TESTS}::test_a_win_is_paid_to_a_player_in_debt",
    ),
    # Markets and their feed.
    Mutant(
        "a market that suspends is exclusive while it waits for its shards",
        SHELL,
        """\
-    name="suspend", kind="shared", **takes(EmptyRequest, TRADING, Refusal.UNKNOWN_MARKET, Refusal.MARKET_NOT_OPEN)
+    name="suspend", **takes(EmptyRequest, TRADING, Refusal.UNKNOWN_MARKET, Refusal.MARKET_NOT_OPEN)
""",
        f"{DEADLOCK_TESTS}::test_exclusive_handlers_never_wait_for_each_other_in_a_circle",
    ),
    Mutant(
        "a market that a shard joins waits for that shard",
        SHELL,
        """\
-    after = rules.join(before, shard)
+    after = rules.join(before, shard)
+    await ctx.object_call(apply_terms, numbered_shard(ctx.key(), shard), after.terms)
""",
        f"{DEADLOCK_TESTS}::test_exclusive_handlers_never_wait_for_each_other_in_a_circle",
    ),
    Mutant(
        "a document that was cut to nothing is none",
        "app/services/shell/wire.py",
        """\
-        if not buf:
-            raise UnreadableError(f"its {self.model.__name__} is empty")
+        if not buf:
+            return None
""",
        f"{UNREADABLE_TESTS}::test_who_reads_is_told_and_work_waits_until_the_document_is_mended",
    ),
    Mutant(
        "a filter that is lost is begun anew",
        "app/services/player/archive.py",
        """\
-    if known is None and index.has_moved:
-        raise UnreadableError("its ArchiveFilter is lost")
""",
        f"{UNREADABLE_TESTS}::test_a_filter_that_is_lost_is_not_replaced_by_one_that_knows_only_what_is_archived_now",
    ),
    Mutant(
        "a read of the archive does not say that it is one",
        "app/services/player/archive.py",
        """\
-        ctx.object_call(look_up, bucket_key(ctx.key(), bucket), Wanted(hashes=those), headers=passed_on())
+        ctx.object_call(look_up, bucket_key(ctx.key(), bucket), Wanted(hashes=those))
""",
        f"{DEADLOCK_TESTS}::test_a_read_says_that_it_is_one_to_every_component_that_it_asks",
    ),
    Mutant(
        "who reads through another object waits for its document",
        "app/services/shell/access.py",
        """\
-    return READS_HEADER in context.request().headers
+    return False
""",
        f"{UNREADABLE_TESTS}::test_who_reads_through_another_object_is_told_too_and_nothing_is_left",
    ),
    Mutant(
        "a caller from outside ends a change by saying that it only reads",
        "app/services/shell/access.py",
        """\
-    if declared_access(context.handler) is not None:
-        return only_reads(context.handler)
-    return READS_HEADER in context.request().headers
+    return only_reads(context.handler) or READS_HEADER in context.request().headers
""",
        f"{UNREADABLE_TESTS}::test_a_change_waits_whatever_its_caller_says",
    ),
    Mutant(
        "a round asks one shard after the other",
        SHELL,
        """\
-    for call, told in _shards_told(ctx, known):
-        await insist(call, told)
+    for shard in sorted(known.leases):
+        await ctx.object_call(apply_terms, numbered_shard(ctx.key(), shard), known.terms)
""",
        STUCK_SHARD_TEST,
    ),
    Mutant(
        "a round ends before the shards know the prices",
        SHELL,
        """\
-    for call, told in _shards_told(ctx, known):
-        await insist(call, told)
+    _shards_told(ctx, known)
""",
        STUCK_SHARD_TEST,
    ),
    Mutant(
        "a suspension asks one shard after the other",
        SHELL,
        """\
-    for _, told in _shards_told(ctx, known):
-        await told
+    for shard in sorted(known.leases):
+        await ctx.object_call(apply_terms, numbered_shard(ctx.key(), shard), known.terms)
""",
        SUSPENSION_TEST,
    ),
    Mutant(
        "a suspension is answered before the shards know it",
        SHELL,
        """\
-    for _, told in _shards_told(ctx, known):
-        await told
+    _shards_told(ctx, known)
""",
        SUSPENSION_TEST,
    ),
    Mutant(
        "a suspension waits for a round",
        SHELL,
        """\
-        if change.kind is ChangeKind.PRICES and len(changed.leases) >= SHARDS_WORTH_A_ROUND:
+        if len(changed.leases) >= SHARDS_WORTH_A_ROUND:
""",
        SUSPENSION_TEST,
    ),
    Mutant(
        "each price change has a round to itself",
        SHELL,
        """\
-        called = ctx.object_call(tell_shards, ctx.key(), number, idempotency_key=f"{number}.{again}")
+        called = ctx.object_call(tell_shards, ctx.key(), number)
""",
        f"{TELLING_TESTS}::test_changes_that_wait_for_a_shard_are_told_by_one_round[plain]",
    ),
    Mutant(
        "a change joins a round that has begun",
        MARKETS,
        """\
-    return market if number < market.rounds else market.model_copy(update={"rounds": number + 1})
+    return market
""",
        f"{MARKET_TESTS}::test_changes_wait_for_the_round_after_all_that_have_begun_and_a_round_begins_once",
    ),
    Mutant(
        "a round is believed whatever it told",
        SHELL,
        """\
-        if told < changed.revision:
-            await _tell(ctx, changed)
-        return
+        return
""",
        f"{TELLING_TESTS}::test_a_round_that_did_not_tell_a_change_is_not_believed",
    ),
    Mutant(
        "who stops a round stops all who wait for it",
        SHELL,
        """\
-            if not was_stopped(error):
-                raise
-            continue
+            raise error
""",
        f"{TELLING_TESTS}::test_who_is_stopped_stops_nobody_else_who_waits[tell-of the round that runs-kill]",
    ),
    Mutant(
        "prices ask the shards",
        SHELL,
        """\
-    return views.market_prices(ctx.key(), await _opened(ctx))
+    known = await _opened(ctx)
+    await _extents(ctx, known)
+    return views.market_prices(ctx.key(), known)
""",
        STUCK_SHARD_TEST,
    ),
    Mutant(
        "a shard waits for somebody whom its source does not name",
        SHELL,
        """\
-    before, left = shard_rules.without_remains(shard, turned, request)
+    before, left = shard_rules.without_remains(shard, turned, request)
+    await ctx.generic_call("MarketService", "suspend", b"", key=market_id)
""",
        f"{DEADLOCK_TESTS}::test_every_wait_in_the_source_has_been_looked_at",
    ),
    Mutant(
        "what was cancelled before its turn is taken for an answer",
        "app/services/shell/shield.py",
        """\
-_STOPPED = {"cancelled", "canceled", "killed"}
+_STOPPED = {"cancelled", "killed"}
""",
        "tests/services/test_shield.py::test_only_what_restate_says_of_a_stop_is_one",
    ),
    Mutant(
        "a shard is leased what others hold of the limit",
        MARKETS,
        """\
-    most = limit - sum(leases.get(selection_id, 0) for name, leases in market.leases.items() if name != shard)
+    most = limit
""",
        f"{MARKET_TESTS}::test_a_book_is_leased_no_more_than_the_others_leave",
    ),
    Mutant(
        "a topic that is read again brings old prices back",
        FEED,
        """\
-    return origin.offset <= furthest.offset and origin.timestamp <= furthest.timestamp
+    return origin == furthest
""",
        f"{FEED_TESTS}::test_a_topic_read_again_from_its_beginning_tells_nothing_new",
    ),
    Mutant(
        "an old price that is tried again overwrites a newer one",
        FEED,
        """\
-    if not newer:
+    if record.type is RecordType.SET_PRICES or not newer:
""",
        f"{FEED_TESTS}::test_a_record_tried_again_never_undoes_a_newer_one",
    ),
    Mutant(
        "of prices that wait together, the oldest wins",
        FEED,
        """\
-    prices = {name: _prices(record)[name] for one, record in batch for name in _prices_left(feed, one, record)}
+    prices = {name: _prices(record)[name] for one, record in batch[::-1] for name in _prices_left(feed, one, record)}
""",
        f"{FEED_TESTS}::test_records_that_wait_end_as_if_each_had_been_applied_by_itself",
    ),
    Mutant(
        "one bad record takes along all that wait with it",
        FEED,
        """\
-        if len(batch) > 1 and rejection.reason not in OF_ALL_RECORDS:
+        if not batch:
""",
        f"{FEED_TESTS}::test_records_that_wait_end_as_if_each_had_been_applied_by_itself",
    ),
    Mutant(
        "prices that waited over a rollback overwrite newer ones",
        FEED,
        """\
-    return [name for name in _prices(record) if feed.newest.get(_price_of(name), 0) < one.number]
+    return list(_prices(record))
""",
        f"{FEED_TESTS}::test_what_an_earlier_version_did_meanwhile_is_not_done_again_nor_undone",
    ),
    Mutant(
        "a suspension overtakes the prices that wait",
        "app/services/markets/feed.py",
        """\
-    flushed, parked = (counted, []) if has_room else await _apply_waiting(ctx, counted)
+    flushed, parked = (counted, []) if has_room or not waits else await _apply_waiting(ctx, counted)
""",
        f"{CONFLATION_TESTS}::test_other_records_come_after_the_prices_that_waited[plain]",
    ),
    Mutant(
        "a version stands for two results",
        MARKETS,
        """\
-        return market if outcomes == market.outcomes else id_reused("version", str(request.version))
+        return market
""",
        f"{MARKET_TESTS}::test_a_version_stands_for_one_result_for_ever",
    ),
    Mutant(
        "a market takes bets after the moment it closes at",
        SHARDS,
        """\
-    price = _acceptable(shard.terms.at(now), request)
+    price = _acceptable(shard.terms, request)
""",
        f"{MARKET_TESTS}::test_a_market_takes_no_bet_from_the_moment_it_closes_at",
    ),
    Mutant(
        "a deduction is taken off bets that were struck after the withdrawal",
        MARKETS,
        """\
-    later = sum(one.deduction for one in withdrawn[known:])
+    later = sum(one.deduction for one in withdrawn)
""",
        f"{MARKET_TESTS}::test_a_bet_before_a_withdrawal_bears_its_deduction_and_a_later_one_has_its_price",
    ),
    Mutant(
        "the feed lifts a trader's suspension",
        MARKETS,
        """\
-    return _held(market, market.holders - {by} if by is Holder.FEED else set())
+    return _held(market, set())
""",
        f"{MARKET_TESTS}::test_the_feed_lifts_its_own_suspension_only",
    ),
    Mutant(
        "a run that is repeated tells that nothing was paid",
        BETS,
        """\
-        return player, sum(leg.moved for leg in bet.legs if _has_outcome(leg, request))
+        return player, 0
""",
        f"{BET_TESTS}::test_a_result_that_comes_twice_is_told_what_it_moved_the_first_time",
    ),
    # Numbers and spans.
    Mutant(
        "an invocation counts at each attempt that finishes",
        "app/telemetry/counts.py",
        """\
-            if new.rowcount == 0:
-                return
""",
        "tests/telemetry/test_counts.py::test_an_invocation_counts_once",
    ),
    Mutant(
        "a bet is counted while it waits for its delay",
        "app/domain/activity.py",
        """\
-        case BetStatus.PENDING | BetStatus.DELAYED:
+        case BetStatus.PENDING:

-        case BetStatus.OPEN:
+        case BetStatus.OPEN | BetStatus.DELAYED:
""",
        "tests/domain/test_activity.py::test_the_last_step_is_what_happened_and_happens_once",
    ),
    Mutant(
        "an attempt that lost its connection to Restate has failed",
        "app/services/shell/observed.py",
        """\
-        _count_attempt(attempt, "disconnected")
+        _count_attempt(attempt, "failed")
""",
        "tests/services/test_observed.py::test_an_attempt_that_lost_restate_has_not_failed",
    ),
    Mutant(
        "a handler that suspends has a span for each attempt",
        "app/services/shell/observed.py",
        """\
-        _count_attempt(attempt, "suspended")
+        _finish(attempt, "suspended")
""",
        "tests/services/test_traces.py::test_a_deposit_is_one_tree_from_the_ingress_to_the_provider[replayed]",
    ),
    Mutant(
        "a log tells to whom a message went",
        "app/telemetry/logs.py",
        """\
-        line = _ADDRESS.sub(HIDDEN, self._inner.format(record))
+        line = self._inner.format(record)
""",
        "tests/telemetry/test_logs.py::test_no_line_tells_an_address_or_a_secret",
    ),
    # Currencies.
    Mutant(
        "an amount in one currency uses up a limit in another",
        "app/domain/protection.py",
        """\
-        if currency == (policy.default_currency if use.currency is None else use.currency)
""",
        f"{CURRENCY_TESTS}::test_what_happens_in_one_currency_is_as_if_there_were_no_other",
    ),
    Mutant(
        "movements of two currencies are counted together",
        "app/domain/responsible_gambling.py",
        """\
-        day = (use.at.date(), use.amount < 0, use.currency)
+        day = (use.at.date(), use.amount < 0, None)
""",
        f"{CURRENCY_TESTS}::test_movements_of_two_currencies_are_never_counted_together",
    ),
    Mutant(
        "every currency has cents",
        "app/domain/currency.py",
        """\
-    places = EXPONENTS.get(currency, ANY_EXPONENT)
+    places = ANY_EXPONENT
""",
        "tests/domain/test_currency.py::test_an_amount_reads_as_people_write_it_in_its_currency",
    ),
    Mutant(
        "a currency is accepted that only some settings name",
        "app/domain/policy.py",
        """\
-        return all(amounts.of(currency) is not None for amounts in needed)
+        return any(amounts.of(currency) is not None for amounts in needed)
""",
        f"{CURRENCY_TESTS}::test_a_currency_that_one_setting_does_not_name_is_not_accepted",
    ),
    Mutant(
        "a withdrawal in a currency without a threshold is not reviewed",
        "app/domain/withdrawals.py",
        """\
-        in_review=threshold is None or request.amount >= threshold,
+        in_review=threshold is not None and request.amount >= threshold,
""",
        f"{CURRENCY_TESTS}::"
        "test_money_in_a_currency_that_is_not_accepted_any_more_is_withdrawn_after_a_review_and_cannot_be_played",
    ),
    Mutant(
        "ids of messages run into each other",
        "app/domain/player.py",
        """\
-    return (Message(message_id="/".join(parts), to=player.email, subject=subject, text=text),)
+    return (Message(message_id=".".join(parts), to=player.email, subject=subject, text=text),)
""",
        "tests/domain/test_messages.py::test_two_messages_have_one_id_only_if_they_are_of_one_event",
    ),
    Mutant(
        "payment methods are told apart by their capitals",
        "app/domain/policy.py",
        """\
-    return payment_method.strip().casefold()
+    return payment_method.strip()
""",
        f"{DEPOSIT_TESTS}::test_only_payment_methods_of_the_list_are_taken_however_they_are_written",
    ),
    # Borders.
    Mutant(
        "where the money of a deposit is hangs on the order of the events",
        "app/domain/deposits.py",
        """\
-        renamed = deposit.model_copy(update={"taken_back": wanted})
+        renamed = deposit
""",
        f"{DEPOSIT_TESTS}::test_a_deposit_that_was_refunded_is_refunded_whatever_else_was_told_when",
    ),
    Mutant(
        "only events that look like ours are of a kind that we may not know",
        "app/providers/webhooks.py",
        """\
-    status: Any = None
+    status: str | None = None
""",
        "tests/domain/test_provider_events.py::test_an_event_of_a_kind_that_we_do_not_know_is_no_error",
    ),
    Mutant(
        "a charge that a stale event called declined cannot be stopped any more",
        "app/domain/follow_up.py",
        """\
-    return deposit.status is DepositStatus.RESERVED or (released and deposit.status is DepositStatus.DECLINED)
+    return deposit.status is DepositStatus.RESERVED
""",
        "tests/domain/test_follow_up.py::test_a_charge_is_open_until_the_providers_last_word",
    ),
    Mutant(
        "a code for a new address can be guessed for ever",
        "app/domain/email_change.py",
        """\
-    wrong = change.wrong_codes + 1
+    wrong = change.wrong_codes
""",
        "tests/domain/test_email_change.py::test_nobody_finds_a_code_by_trying",
    ),
    Mutant(
        "codes for a new address are asked for without end",
        "app/domain/email_change.py",
        """\
-    if len(recent) >= MAX_CODES:
+    if len(recent) < 0:
""",
        "tests/domain/test_email_change.py::test_nobody_is_flooded_with_codes",
    ),
    Mutant(
        "an address that the mail server cannot take is tried for ever",
        "app/providers/messages.py",
        """\
-        raise UndeliverableError(f"the mail server cannot take this address: {mail.recipient!r}")
+        pass
""",
        "tests/providers/test_messages.py::test_an_address_that_the_mail_server_cannot_take_is_given_up_on",
    ),
    Mutant(
        "a mail whose recipient was refused is sent to a server that waits for it",
        "app/providers/pipelining.py",
        """\
-    if received.code not in (_OK, _WILL_FORWARD):
+    if False:
""",
        "tests/providers/test_messages.py::test_no_content_is_sent_to_a_server_that_refused_the_recipient_and_waits_for_it",
    ),
    Mutant(
        "a mail ends at a line with a dot",
        "app/providers/pipelining.py",
        """\
-    [taken] = await replies.to(_LEADING_DOT.sub(b"..", content) + b".\\r\\n", 1)
+    [taken] = await replies.to(content + b".\\r\\n", 1)
""",
        "tests/providers/test_messages.py::test_a_message_arrives_as_it_was_written",
    ),
    Mutant(
        "two dots are an id",
        "app/domain/model.py",
        """\
-    if text in DOTS:
+    if text in ():
""",
        "tests/domain/test_refusals.py::test_a_dot_and_two_dots_are_no_ids_since_proxies_take_them_away",
    ),
    Mutant(
        "the service starts without a webhook secret",
        "app/settings.py",
        """\
-        if not self.webhook_secret:
+        if False:
""",
        "tests/test_settings.py::test_the_service_has_no_default_secret",
    ),
    Mutant(
        "a name may turn the direction of writing",
        MODEL,
        """\
-_NOT_TEXT = re.compile(f"[{_UNSEEN}{_HALVES}]")
+_NOT_TEXT = re.compile(f"[{_HALVES}]")
""",
        f"{TEXT_TESTS}::test_no_text_of_any_request_takes_what_does_not_show[MarketService/open]",
    ),
    Mutant(
        "a deposit is forgotten together with the refund that was asked for",
        FOLLOW_UP,
        """\
-        and not deposit.refund_due
+        and True
""",
        f"{FOLLOW_UP_TESTS}::test_what_is_forgotten_has_ended_and_is_told_by_its_player",
    ),
    Mutant(
        "late money for a forgotten deposit stays with a player who may not deposit",
        FOLLOW_UP,
        """\
-    return again.model_copy(update={"recalled": True})
+    return again
""",
        f"{FOLLOW_UP_TESTS}::test_only_what_is_built_again_after_the_end_may_have_waited_for_its_customer",
    ),
    Mutant(
        "a chargeback is refused where another player has used the forgotten id",
        "app/services/payments/follow_up.py",
        """\
-    if event.status not in CHARGE_EVENTS:
+    if True:
""",
        "tests/services/test_forgotten_deposits.py"
        "::test_a_chargeback_is_heard_though_another_player_has_used_the_forgotten_id[plain]",
    ),
    # The door.
    Mutant(
        "every error of Restate's ingress is asked again, accepted or not",
        "app/edge/bootstrap.py",
        """\
-        "retriable_headers": [{"name": WHOSE_STATUS, "string_match": {"exact": "ingress/404"}}],
+        "retriable_headers": [{"name": WHOSE_STATUS, "string_match": {"prefix": "ingress/"}}],
""",
        "tests/edge/test_unknown_to_restate.py::test_no_other_answer_is_asked_for_again_or_changed[500-ingress]",
    ),
    Mutant(
        "a handler's own 404 is told as an outage",
        "app/edge/door.lua",
        """\
-  if headers:get(":status") ~= "404" or headers:get("x-restate-error-source") ~= "ingress" then
+  if headers:get(":status") ~= "404" then
""",
        "tests/edge/test_unknown_to_restate.py::test_no_other_answer_is_asked_for_again_or_changed[404-invocation]",
    ),
    # The bookkeeper.
    Mutant(
        "a node that knows no handlers yet is believed that a bet is not there",
        "app/bookkeeper/restate.py",
        """\
-            if not _is_unknown_to_restate(response):
-                return response
+            return response
""",
        "tests/bookkeeper/test_unknown_to_restate.py"
        "::test_a_bet_is_not_missing_because_restate_does_not_know_who_would_tell",
    ),
    Mutant(
        "a handler's own 404 is taken for a node that knows no handlers yet",
        "app/bookkeeper/restate.py",
        """\
-    return own and response.status_code == HTTPStatus.NOT_FOUND
+    return response.status_code == HTTPStatus.NOT_FOUND
""",
        "tests/bookkeeper/test_unknown_to_restate.py::test_what_a_handler_says_is_believed_at_once",
    ),
    Mutant(
        "a leg is taken for an orphan when it is seen for the first time",
        "app/bookkeeper/stranded.py",
        """\
-        confirmed = [thing for thing in self._since.values() if now - thing.since >= grace]
+        confirmed = list(self._since.values())
""",
        "tests/bookkeeper/test_stranded.py::test_what_is_seen_once_is_only_suspected",
    ),
    Mutant(
        "a chargeback is taken for money that came",
        "app/bookkeeper/reconcile.py",
        """\
-    amount = movement.amount if movement.kind in _CAME else -movement.amount
+    amount = movement.amount
""",
        "tests/bookkeeper/test_reconcile.py::test_a_charge_its_refunds_and_chargebacks_come_to_what_the_books_have",
    ),
    Mutant(
        "what is found in one comparison is told without a second",
        "app/bookkeeper/reconciling.py",
        """\
-        confirmed = {key: finding for key, finding in again.found.items() if look.found.get(key) == finding}
+        confirmed = look.found
""",
        "tests/bookkeeper/test_reconcile.py::test_what_differs_once_and_agrees_when_all_is_compared_again_is_not_told",
    ),
    Mutant(
        "markets are asked about a stake that a limit on stakes may yet refuse",
        BETS,
        """\
-    if any(has_own_limit(player, kind, wallet.currency, policy) for kind in COUNTED):
+    if has_own_limit(player, LimitKind.LOSS, wallet.currency, policy):
""",
        f"{BET_TESTS}::test_a_stake_that_is_sure_to_be_held_is_held_whenever_it_is_asked_for",
    ),
    # Who asks.
    Mutant(
        "a player sees what is another's",
        ACCESS,
        """\
-    if caller is None or access.owner is None or holds_role(access, caller) or caller.user == owner_id:
+    if caller is None or access.owner is None or holds_role(access, caller) or caller.user:
""",
        f"{ACCESS_TESTS}::test_a_player_gets_what_is_their_own",
    ),
    Mutant(
        "a role that the handler is not for is as good as any",
        ACCESS,
        """\
-    return any(role in caller.roles for role in access.roles)
+    return bool(caller.roles)
""",
        f"{ACCESS_TESTS}::test_who_is_let_in_holds_a_role_or_owns_it",
    ),
    Mutant(
        "where an identity is required, who has none is let in",
        ACCESS,
        """\
-        return _unauthenticated() if required else None
+        return None
""",
        f"{ACCESS_TESTS}::test_who_may_call_a_handler_at_all",
    ),
    Mutant(
        "a deposit is for whoever sends it",
        "app/services/shell/requests.py",
        """\
-        if self._names_owner:
+        if False:
""",
        "tests/services/test_access.py::test_a_body_is_believed_for_the_same_reader_who_checks_it",
    ),
    # Who did it.
    Mutant(
        "a result without an actor is the player's own",
        "app/domain/statement.py",
        """\
-    if entry.by is not None or entry.kind in OTHERS:
+    if entry.by is not None:
""",
        "tests/domain/test_statement.py::test_a_movement_without_an_actor_is_the_players_unless_players_never_cause_it",
    ),
    Mutant(
        "players see which operator decided",
        "app/domain/statement.py",
        """\
-                by=by_whom(player, entry) if for_operator else None,
+                by=by_whom(player, entry),
""",
        "tests/domain/test_statement.py::test_only_operators_see_who_caused_a_movement",
    ),
    Mutant(
        "what the provider declined was returned by the operator who approved it",
        "app/domain/withdrawals.py",
        """\
-    return PROVIDER if declined else review.by
+    return review.by
""",
        "tests/domain/test_withdrawals.py::test_the_end_of_a_withdrawal_is_by_whoever_decided_it",
    ),
    Mutant(
        "whoever repeats a limit has set it",
        "app/domain/protection.py",
        """\
-    if outcome.same_as(player.limits.get(name)):
+    if outcome == player.limits.get(name):
""",
        "tests/services/test_actors.py::test_a_limit_and_a_restriction_say_who_changed_them_last[plain]",
    ),
    Mutant(
        "everybody sees the liability of a market",
        "app/services/shell/access.py",
        """\
-    return not dependencies().require_identity if caller is None else caller.is_operator
+    return True
""",
        "tests/services/test_actors.py"
        "::test_a_market_says_who_changed_it_last_and_shows_its_liability_to_operators_only[plain]",
    ),
    Mutant(
        "a settlement forgets who entered its result",
        "app/services/settlement.py",
        """\
-                by=order.by,
+                by=None,
""",
        "tests/services/test_actors.py::test_a_movement_is_by_whoever_caused_it_and_only_operators_see_them[plain]",
    ),
    Mutant(
        "anybody says when a request was received",
        ACCESS,
        """\
-    if not re.fullmatch(r"[0-9]{13}", told) or caller_of(headers) is None:
+    if not re.fullmatch(r"[0-9]{13}", told):
""",
        f"{ACCESS_TESTS}::test_the_door_is_believed_about_the_time_where_it_names_the_caller",
    ),
    Mutant(
        "a statement goes back in time",
        "app/domain/player.py",
        """\
-    return now if last is None else max(now, last)
+    return now
""",
        "tests/services/test_actors.py"
        "::test_the_time_of_a_request_is_when_the_door_received_it_and_movements_never_go_back[plain]",
    ),
    Mutant(
        "a candidate is registered without its gates",
        "app/release/plan.py",
        """\
-    elif is_new and not is_first and not gates.passed:
+    elif is_new and not is_first and gates.asked:
""",
        "tests/release/test_plan.py::test_each_situation_has_its_verdicts_and_its_actions[v2 ready: its gates first]",
    ),
    Mutant(
        "what could not be checked passes the gates",
        "app/release/gates/findings.py",
        """\
-        return self.outcome in (Outcome.PASSED, Outcome.OFF)
+        return self.outcome is not Outcome.FAILED
""",
        "tests/release/test_gatekeeper.py::test_a_note_says_how_the_gates_answered[not told: not again at once]",
    ),
    Mutant(
        "a request that may only be false passes the contract gate",
        "app/release/gates/schemas.py",
        """\
-        if word not in now.schema or (word == "uniqueItems" and new is False):
+        if new in (None, False):
""",
        "tests/release/test_contract_gate.py::test_a_request_that_was_taken_and_is_not_any_more_is_found",
    ),
    Mutant(
        "a candidate may refuse a role that could call before",
        "app/release/gates/contract.py",
        """\
-        for role in sorted(was.roles - now.roles):
+        for role in sorted(now.roles - was.roles):
""",
        "tests/release/test_contract_gate.py::test_callers_who_lose_access_are_found",
    ),
    Mutant(
        "a candidate may drop the handler that a topic feeds",
        "app/release/gates/contract.py",
        """\
-            key: each for key, each in service.handlers.items() if each.public or has_work or f"{name}/{key}" in fed
+            key: each for key, each in service.handlers.items() if each.public or has_work
""",
        "tests/release/test_contract_gate.py::test_a_private_handler_that_a_topic_feeds_has_to_stay",
    ),
    Mutant(
        "the contract gate follows a schema that holds itself without an end",
        "app/release/gates/schemas.py",
        """\
-        return None if pair in self.pairs else _Above(self.pairs | {pair}, self.begun)
+        return _Above(self.pairs | {(pair[0], str(len(self.pairs)))}, self.begun)
""",
        "tests/release/test_contract_gate.py::test_one_that_holds_itself_twice_is_compared_once",
    ),
    Mutant(
        "a version is good before the bookkeeper has seen its last bets",
        "app/release/watching.py",
        """\
-    if now >= end and evidence.books is not None and evidence.books.seen_at < end:
+    if now >= end and evidence.books is not None and evidence.books.seen_at <= window.since:
""",
        "tests/release/test_watching.py::test_a_version_is_good_when_its_window_is_over_and_everything_is_known",
    ),
    Mutant(
        "a machine that stands still once makes a version slow",
        "app/release/watching.py",
        """\
-    return slow - most_slow, max(finished - theirs, slow - most_slow)
+    return slow, finished
""",
        "tests/release/test_watching.py::test_what_was_slow_all_at_once_proves_nothing",
    ),
    Mutant(
        "a rescue resumes what could not be replayed",
        "app/release/rescue.py",
        """\
-        return f"stays: nothing is known, {replayed.skipped}"
+        return ""
""",
        "tests/release/test_rescue.py::test_only_what_the_target_would_go_on_with_is_resumed[no answer]",
    ),
    Mutant(
        "a version is measured against one that is not proven itself",
        "app/release/watcher.py",
        """\
-        before = old.before if watched and old.outcome in NOT_PROVEN else old.live
+        before = old.live
""",
        f"{WATCHER_TESTS}"
        "::test_what_is_shipped_meanwhile_is_measured_against_the_last_version_that_is_known[is watched]",
    ),
    Mutant(
        "gates that cannot tell push what was live out of the history",
        "app/release/history.py",
        """\
-    repeats = entries and replace(entries[-1], because=new.because, at=new.at) == new
+    repeats = entries and entries[-1] == new
""",
        "tests/release/test_history.py"
        "::test_gates_that_cannot_tell_and_are_asked_again_and_again_leave_what_was_live_when",
    ),
    Mutant(
        "a hundred that stay hide what is behind them from a rescue",
        "app/release/cli.py",
        """\
-            went_on += result in (GOES_ON, RESUMED)
+            went_on += 1
""",
        "tests/release/test_rescue.py::test_what_stays_does_not_hide_what_is_behind_it",
    ),
    Mutant(
        "what is behind a journal that ends the rehearsal is not replayed",
        "app/release/gatekeeper.py",
        """\
-            try:
-                _wait(Stage(cluster), version.name, url)
-            except UnknownError:
-                return
+            return
""",
        "tests/release/test_gatekeeper.py"
        "::test_a_journal_that_ends_the_rehearsal_of_a_rescue_says_nothing_of_the_others[True]",
    ),
    Mutant(
        "a step that no journal has goes on",
        REPLAY,
        """\
-    if failure.code == protocol.JOURNAL_MISMATCH:
-        return Replayed(f"takes other steps: {_expected(failure)}", mismatch=failure.message)
+    if failure.code == protocol.JOURNAL_MISMATCH:
+        return Replayed()
""",
        "tests/release/test_replay_gate.py::test_an_attempt_ends_as_its_first_message_says[mismatch]",
    ),
    Mutant(
        "a rehearsal is ended while its gates still ask",
        "app/release/gatekeeper.py",
        """\
-            if not stage.renew(version.name, note, mine):
-                return
+            return
""",
        "tests/release/test_gatekeeper.py::test_who_asks_for_long_keeps_others_from_ending_the_rehearsal[ask]",
    ),
    Mutant(
        "who asks renews the note of somebody else",
        "app/release/stage.py",
        """\
-        if found is None or (_note_on(found) or "") not in mine:
+        if found is None:
""",
        "tests/release/test_gatekeeper.py::test_only_its_own_note_is_renewed",
    ),
    Mutant(
        "what the gates found stays though the values accept it now",
        "app/release/gate_notes.py",
        """\
-    if terms and told.get("terms", terms) != terms:
+    if terms and told.get("terms", terms) == "":
""",
        f"{KNOWN_TESTS}::test_what_the_gates_found_stays_until_the_values_ask_otherwise[accepted]",
    ),
    Mutant(
        "a candidate that fails with another text each time fails by chance",
        REPLAY,
        """\
-    by_chance = first.problem and (last.goes_on or _by_chance(first.mismatch, last.mismatch))
+    by_chance = first.problem and (last.goes_on or first != last)
""",
        f"{REPLAY_TESTS}::test_what_differs_by_random_numbers_alone_is_by_chance[fails with another address each time]",
    ),
    Mutant(
        "a new step is excused by the random id in its name",
        REPLAY,
        """\
-            if len(set(map(len, words))) == 1 and all(a == b for a, b, c in zip(*words, strict=True) if b == c):
+            if words:
""",
        f"{REPLAY_TESTS}::test_what_differs_by_random_numbers_alone_is_by_chance[a new step, named by a random id too]",
    ),
    Mutant(
        "one journal that goes on speaks for every handler",
        REPLAY,
        """\
-    handlers = sorted({work.where for work in silent} - answered)
+    handlers = [] if answered else sorted({work.where for work in silent})
""",
        f"{REPLAY_TESTS}::test_what_goes_on_of_one_handler_says_nothing_of_another[a handler without an answer]",
    ),
    Mutant(
        "paused work without an answer is let pass by work that goes on",
        REPLAY,
        """\
-    told += [f"paused work could not be replayed, such as {paused[0]}"] if paused else []
+    del paused
""",
        f"{REPLAY_TESTS}::test_what_goes_on_of_one_handler_says_nothing_of_another[paused, no answer]",
    ),
    Mutant(
        "a default that is written out counts as a change",
        "app/release/fixed_settings.py",
        """\
-        if before.get(name, default) != wanted.get(name, default):
+        if before.get(name) != wanted.get(name):
""",
        f"{SETTINGS_TESTS}::test_what_may_change[a default, written out]",
    ),
    Mutant(
        "a fixed setting that is taken out is no change",
        "app/release/fixed_settings.py",
        """\
-    for name in sorted(FIXED & (before.keys() | wanted.keys())):
+    for name in sorted(FIXED & wanted.keys()):
""",
        f"{SETTINGS_TESTS}::test_what_a_rule_reads_stays_and_the_refusal_says_how_to_keep_it[taken out]",
    ),
    Mutant(
        "a version that runs without pods may get other settings",
        "app/release/unchangeable.py",
        """\
-        if version.known_image and version.name in wanted
+        if version.known_image and version.replicas and version.name in wanted
""",
        f"{SETTINGS_TESTS}::test_a_version_without_pods_keeps_its_settings_for_it_may_come_back",
    ),
    Mutant(
        "what a version went live with is noted anew",
        "app/release/rounds.py",
        """\
-        given = version.settings if known is None else known.given
+        given = version.settings
""",
        f"{KNOWN_TESTS}::test_its_own_code_adds_the_defaults_and_leaves_what_was_noted",
    ),
    Mutant(
        "the defaults of other code are taken for those of a version",
        "app/release/rounds.py",
        """\
-        defaults = fixed_settings.DEFAULTS if image == self.own_image else {}
+        defaults = fixed_settings.DEFAULTS
""",
        f"{KNOWN_TESTS}::test_only_its_own_code_tells_the_defaults_of_a_version",
    ),
    Mutant(
        "a version cannot go back to the image that Restate came to know",
        "app/release/unchangeable.py",
        """\
-    return version.known_image or version.image
+    return version.image
""",
        "tests/release/test_other_images.py::test_a_version_may_go_back_to_the_image_that_restate_came_to_know",
    ),
    Mutant(
        "a hook's refusal says nothing of the way back",
        "app/release/cli.py",
        """\
-        raise NotDoneError(_with_way_back(_why(error), way_back)) from error
+        raise NotDoneError(_why(error)) from error
""",
        "tests/release/test_prepare.py::test_whatever_is_refused_ends_with_the_way_back[refused]",
    ),
    Mutant(
        "status does not tell what a version does not run as it went live",
        "app/release/report.py",
        """\
-    reasons = "; ".join(filter(None, (reason, strayed(standing.version))))
+    reasons = reason
""",
        "tests/release/test_report.py::test_status_and_why_tell_what_a_version_runs_that_it_did_not_go_live_with",
    ),
    Mutant(
        "an image that may still come is taken for missing",
        "app/release/lending.py",
        """\
-            waited = now - self._failed_since[name] >= NO_IMAGE_SECONDS
+            waited = True
""",
        "tests/release/test_lending.py::test_an_image_has_a_moment_to_come",
    ),
    Mutant(
        "a hook that was lent an image goes on as if it were its own",
        "app/release/cli.py",
        """\
-        refuse_if_lent(cluster, release.own_image, image_of_each)
+        _ = refuse_if_lent
""",
        "tests/release/test_prepare.py::test_an_image_that_was_not_started_is_named_with_its_version_and_the_reason",
    ),
    # What a load needs.
    Mutant(
        "nodes are planned so that none may be away",
        "app/capacity/needs.py",
        """\
-    node_cores = max(int(value("least_node_cores")), ceil(restate_cores / busy / max(1, nodes - 1)))
+    node_cores = max(int(value("least_node_cores")), ceil(restate_cores / busy / nodes))
""",
        "tests/capacity/test_needs.py::test_two_of_three_nodes_can_do_the_work_of_all",
    ),
    Mutant(
        "what is forgotten after 90 days is planned for ever",
        "app/capacity/needs.py",
        """\
-    return min(load.days, value(constant))
+    return max(load.days, value(constant))
""",
        "tests/capacity/test_needs.py::test_what_is_forgotten_takes_no_more_after_its_time",
    ),
    # A node of Restate that lost its volume.
    Mutant(
        "a node is replaced while another one may hold the only copy",
        NODES,
        """\
-    if missing := _missing(seen, set(names) - {name}):
+    if missing := _missing(seen, ()):
""",
        f"{NODE_TESTS}::test_nothing_is_taken_while_another_node_may_hold_the_only_copy[away]",
    ),
    Mutant(
        "a node is replaced that may have its data",
        NODES,
        """\
-    if node is not None and not lost:
+    if False and node is not None:
""",
        f"{NODE_TESTS}::test_a_node_that_may_have_its_data_is_refused_with_what_to_do[read-write]",
    ),
    Mutant(
        "a lost storage is given up though a partition has no snapshot",
        "app/release/replacing.py",
        """\
-    if missing := sorted(wanted - made):
+    if missing := sorted(wanted - wanted - made):
""",
        f"{NODE_TESTS}::test_a_storage_is_not_disabled_while_a_partition_has_no_snapshot",
    ),
    Mutant(
        "a node that was removed is not emptied at once, and joins on what its failed starts left",
        "app/release/replacing.py",
        """\
-    return made.actions[: 2 if made.actions[0].do is Step.REMOVE else 1]
+    return made.actions[:1]
""",
        f"{NODE_TESTS}::test_a_node_is_emptied_right_after_it_was_removed",
    ),
    # Connections, and the number of pods.
    Mutant(
        "a connection ends while a request is under way on it",
        "app/connections.py",
        """\
-        if time.monotonic() < self._until or self.over.is_set() or not self._acknowledged or self._is_busy:
+        if time.monotonic() < self._until or self.over.is_set() or not self._acknowledged:
""",
        f"{CONNECTION_TESTS}::test_it_allows_no_more_streams_and_ends_when_that_has_been_heard",
    ),
    Mutant(
        "a connection ends before Restate has heard that it takes no more",
        "app/connections.py",
        """\
-        elif self._acknowledged > 1:
+        else:
""",
        f"{CONNECTION_TESTS}::test_it_allows_no_more_streams_and_ends_when_that_has_been_heard",
    ),
    Mutant(
        "data that comes late for one request ends all that are under way on its connection",
        "app/connections.py",
        """\
-        self.streams = Streams()
+        self.streams = {}
""",
        f"{CONNECTION_TESTS}::test_data_of_a_stream_that_the_server_has_ended_does_no_harm_to_others",
    ),
    Mutant(
        "a connection that has ended already ends the service with an error",
        "app/connections.py",
        """\
-            except ProtocolError:  # one of both has ended it, and whoever waits for its end must not fail by that
+            except LookupError:
""",
        f"{CONNECTION_TESTS}::test_a_connection_that_the_server_itself_has_ended_does_not_hinder_the_end",
    ),
    Mutant(
        "a scrape while the release loop shows a round sees no version",
        "app/release/metrics.py",
        """\
-        seen = replace(self._seen, standings=made.standings)
+        self._seen = replace(self._seen, standings=())
+        seen = replace(self._seen, standings=made.standings)
""",
        "tests/release/test_metrics.py::test_a_scrape_while_a_round_is_shown_sees_all_numbers_of_the_one_before",
    ),
    Mutant(
        "a scrape mixes two rounds of the release loop",
        "app/release/metrics.py",
        """\
-        yield from _versions(seen.standings)
+        yield from _versions(self._seen.standings)
""",
        "tests/release/test_metrics.py::test_a_scrape_that_has_begun_ends_with_the_numbers_of_the_same_round",
    ),
    Mutant(
        "a scrape mixes two looks of the bookkeeper",
        "app/bookkeeper/metrics.py",
        """\
-        if reconciled is not None:
-            yield from _reconciled(reconciled)
+        if self._seen[1] is not None:
+            yield from _reconciled(self._seen[1])
""",
        "tests/bookkeeper/test_metrics.py::test_a_scrape_that_has_begun_ends_with_the_comparison_of_the_same_look",
    ),
    Mutant(
        "the release loop takes back the pods that an autoscaler has given",
        "app/release/plan.py",
        """\
-        return self.replicas != self.full_strength if self.floor is None else self.replicas < self.full_strength
+        return self.replicas != self.full_strength
""",
        "tests/release/test_plan.py",
    ),
    Mutant(
        "an autoscaler may leave the version that serves with one pod",
        "app/release/plan.py",
        """\
-    floor = 1 if ending else version.full_strength
+    floor = 1
""",
        "tests/release/test_plan.py",
    ),
    Mutant(
        "with many players it takes months until each was audited",
        "app/bookkeeper/auditing.py",
        """\
-    return min(players, MOST, max(fewest, ceil(players * seconds / TURN_SECONDS)))
+    return min(players, MOST, fewest)
""",
        "tests/bookkeeper/test_auditing.py",
    ),
    Mutant(
        "two pages of players have a partition key in common",
        "app/bookkeeper/pages.py",
        """\
-        yield Page(number * KEYS // count, (number + 1) * KEYS // count - 1)
+        yield Page(number * KEYS // count, (number + 1) * KEYS // count)
""",
        "tests/bookkeeper/test_turns.py::test_pages_have_every_partition_key_once",
    ),
    Mutant(
        "players of a page that broke off are counted again with it",
        "app/bookkeeper/restate.py",
        """\
-        for pause in (*PAGE_PAUSES_SECONDS, None):
-            tally = Tally()
+        tally = Tally()
+        for pause in (*PAGE_PAUSES_SECONDS, None):
""",
        "tests/bookkeeper/test_pages_of_players.py::test_a_page_that_breaks_off_is_asked_for_again_and_counted_once",
    ),
    Mutant(
        "an answer of Restate that breaks off is taken for all of it",
        "app/bookkeeper/restate.py",
        """\
-            rows.end()
+            pass
""",
        "tests/bookkeeper/test_pages_of_players.py::test_a_page_that_always_breaks_off_leaves_the_books_unknown",
    ),
    Mutant(
        "one document that cannot be read keeps a look from all other players",
        "app/bookkeeper/restate.py",
        """\
-        if is_unreadable(response):
-            return None
""",
        "tests/bookkeeper/test_command.py::test_books_of_which_a_document_cannot_be_read_are_told_and_end_with_3",
    ),
    Mutant(
        "one bet of a document that cannot be read keeps a look from all that is stranded",
        "app/bookkeeper/searching.py",
        """\
-            if is_unreadable(answer):
-                return False
""",
        "tests/bookkeeper/test_repairs.py"
        "::test_documents_that_cannot_be_read_keep_nothing_of_other_players_from_being_mended",
    ),
    Mutant(
        "a version passes the books gate while documents of players cannot be read",
        "app/release/gates/books.py",
        """\
-    if seen.unreadable:
+    if False:
""",
        "tests/release/test_gatekeeper.py::test_no_release_starts_on_books_that_do_not_balance",
    ),
    Mutant(
        "a version passes the books gate though the provider was never compared",
        "app/release/gates/books.py",
        """\
-    if seen.compares and (seen.compared_at is None or now - seen.compared_at > FRESH_SECONDS):
+    if seen.compared_at is not None and now - seen.compared_at > FRESH_SECONDS:
""",
        "tests/release/test_gatekeeper.py::test_no_release_starts_on_books_that_do_not_balance",
    ),
    Mutant(
        "wallets that do not balance are those of the last page alone",
        "app/bookkeeper/tally.py",
        """\
-        self.unbalanced += other.unbalanced
+        self.unbalanced = other.unbalanced
""",
        "tests/bookkeeper/test_tally.py::test_only_so_many_wallets_are_named_and_the_first_of_them",
    ),
    Mutant(
        "a turn begins where the last one did",
        "app/bookkeeper/pages.py",
        """\
-    following = nsmallest(most, (place for place in places if place > after))
+    following = nsmallest(most, places)
""",
        "tests/bookkeeper/test_turns.py::test_everybody_has_a_turn_before_anybody_has_two",
    ),
    Mutant(
        "movements of the hour in which a span ends are not searched for",
        "app/bookkeeper/spans.py",
        """\
-        yield from (f"{day}{hour:02}" for hour in range(int(first), int(last) + 1))
+        yield from (f"{day}{hour:02}" for hour in range(int(first), max(int(first) + 1, int(last))))
""",
        "tests/bookkeeper/test_spans.py::test_the_words_of_a_span_are_in_every_document_with_a_moment_of_it",
    ),
    Mutant(
        "whoever has a limit has something under way",
        "app/bookkeeper/queries.py",
        """\
-    f"value_utf8 like '%{text}%'" for text in ('"refundDue"', ':"pending"', ': "pending"', '"delayed"')
+    f"value_utf8 like '%{text}%'" for text in ('"refundDue"', '"pending"', '"delayed"')
""",
        "tests/bookkeeper/test_pages_of_players.py::test_only_who_has_something_under_way_is_looked_at_more_closely",
    ),
    Mutant(
        "all movements of an hour are read together",
        "app/bookkeeper/spans.py",
        """\
-        parts = min(60, -(-entries // most))
+        parts = 1
""",
        "tests/bookkeeper/test_spans.py::test_spans_have_every_moment_once_and_no_more_entries_than_they_have_to",
    ),
    Mutant(
        "a change that the market refuses whatever its prices is asked again for each record",
        "app/domain/feed.py",
        """\
-        if len(batch) > 1 and rejection.reason not in OF_ALL_RECORDS:
+        if len(batch) > 1 and rejection.reason != CANCELLED:
""",
        "tests/domain/test_feed.py"
        "::test_a_change_that_fails_whatever_its_prices_is_not_asked_again_and_all_its_records_are_left[market_not_open]",
    ),
    Mutant(
        "of processes that begin at the same moment all but one end",
        "app/telemetry/counts.py",
        """\
-            if time.monotonic() > end:
+            if end:
""",
        "tests/telemetry/test_counts.py::test_whoever_begins_while_another_does_can_count",
    ),
    Mutant(
        "a process killed before its file had a size leaves its pod without any number",
        "app/telemetry/metrics.py",
        """\
-        files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
+        files = [str(file) for file in self._folder.glob("*.db")]
""",
        "tests/telemetry/test_metrics.py::"
        "test_a_file_that_a_killed_process_had_only_made_takes_no_number_of_the_others",
    ),
    Mutant(
        "an operator's choice comes back when the values name the version again that it replaced",
        "app/release/rounds.py",
        """\
-    if made.live:
-        release.cluster.forget_choice_before(made.wanted)
""",
        f"{WATCHER_TESTS}"
        "::test_a_choice_is_over_once_a_third_version_is_live_and_the_values_may_name_any_again[an operator]",
    ),
    Mutant(
        "an operator's choice is over though the version that came after it never served",
        "app/release/rounds.py",
        """\
-    if made.live:
+    if made.wanted:
""",
        f"{WATCHER_TESTS}"
        "::test_a_choice_stays_while_the_third_version_is_not_live_for_the_way_back_leads_to_its_values",
    ),
    Mutant(
        "a version whose pods start is told to be asked by somebody else",
        "app/release/cluster.py",
        """\
-    for _ in range(TRIES - 1):
+    for _ in range(0):
""",
        "tests/release/test_gatekeeper.py"
        "::test_a_version_that_changes_while_its_gates_are_to_be_asked_is_looked_at_again",
    ),
]
