"""The questions that the bookkeeper asks Restate's state, as SQL: Restate adds up, so that no document comes here.

A number is read by `try_cast(json_get_json(...))`, since `json_get_int` of Restate 1.7 gives null for a negative one.
"""

from collections.abc import Mapping
from typing import Any

from app.domain.model import DEFAULT_CURRENCY

Row = Mapping[str, Any]
"""What one of these gives, by the names of its columns."""

_DOCUMENTS = """
with documents as (
  select service_key as player, value_utf8 as document
  from state where service_name = 'PlayerService' and key = 'player'
)"""
_THESE_DOCUMENTS = """
with documents as (
  select service_key as player, partition_key as place, value_utf8 as document
  from state where service_name = 'PlayerService' and key = 'player' and partition_key in ({places})
)"""
"""Of some players, by their partition keys: Restate reads these documents alone, if they are `PLACES` at most."""

PLACES = 4_096
"""The most partition keys that Restate looks up one by one; for more it reads everything."""

PLAYERS = "select count(*) as players from state where service_name = 'PlayerService' and key = 'player'"
"""How many players there are. It reads no document, only keys."""

_WAITS = "value_utf8 like '%\"reserved\"%'"
_HELD = "value_utf8 like '%\"held\"%'"
_OTHERS = " or ".join(
    f"value_utf8 like '%{text}%'" for text in ('"refundDue"', ':"pending"', ': "pending"', '"delayed"')
)
"""`pending` as a value only: each limit of a player has a key of that name."""

PAGE_OF_PLAYERS = f"""
select service_key as player, partition_key as place, json_get_str(value_utf8, 'userId') as user_id,
  json_get_json(value_utf8, 'wallets') as wallets,
  case when {_WAITS} then json_get_json(value_utf8, 'deposits') end as deposits,
  case when {_HELD} then json_get_json(value_utf8, 'withdrawals') end as withdrawals,
  case when {_WAITS} or {_HELD} or {_OTHERS} then true end as under_way,
  case when value_utf8 like '%"open"%' then true end as betting
from state
where service_name = 'PlayerService' and key = 'player' and partition_key >= {{first}} and partition_key <= {{last}}"""
"""What a look needs of the documents of a page, a row for each player, in one read. Nothing is grouped or sorted, so
that Restate sends rows as it reads, and its memory does not grow with the players.

A document that has a status has its word in quotes, so a search for that tells which few documents are worth more work.
"""

MARKETS = rf"""
with markets as (
  select service_key as market, coalesce(json_get_str(value_utf8, 'currency'), '{DEFAULT_CURRENCY}') as currency
  from state
  where service_name = 'MarketService' and key = 'market' and json_get_str(value_utf8, 'status') <> 'settled'
), shards as (
  select regexp_replace(service_key, ':[0-9]+$', '') as market, json_get_json(value_utf8, 'used') as used,
    unnest(json_object_keys(value_utf8, 'used')) as selection
  from state where service_name = 'MarketBook' and key = 'book'
), selections as (
  select market, sum(try_cast(json_get_json(used, selection) as bigint)) as liability
  from shards group by market, selection
), worst as (
  select market, max(liability) as liability from selections group by market
)
select currency, count(*) as open, coalesce(sum(liability), 0) as liability
from markets left join worst on worst.market = markets.market group by currency"""
"""Markets without a result, by currency, and what the house loses if the worst selection of each of them wins."""

_UNFINISHED_RESULTS = """
with newest as (
  select service_key as market, json_get_int(value_utf8, 'resultVersion') as version,
    concat(service_key, ':', json_get_json(value_utf8, 'resultVersion')) as run
  from state where service_name = 'MarketService' and key = 'market' and json_get_int(value_utf8, 'resultVersion') > 0
), progress as (
  select service_key as run, bool_or(json_get_bool(value_utf8, 'done')) as done,
    max(json_get_int(value_utf8, 'bets')) as bets, max(json_get_int(value_utf8, 'settled')) as settled
  from state where service_name in ('SettlementRun', 'SettlementWorkflow') and key = 'progress' group by service_key
), books as (
  select regexp_replace(service_key, ':[0-9]+$', '') as market, sum(json_get_int(value_utf8, 'bets')) as bets
  from state where service_name = 'MarketBook' and key = 'book' group by 1
), runs as (
  select target_service_key as run, min(created_at) as created_at
  from sys_invocation_status where target_service_name in ('SettlementRun', 'SettlementWorkflow')
  group by target_service_key
), work as (
  select distinct target_service_name as service, target_service_key as place from sys_invocation_status
  where status <> 'completed' and target_service_name in ('SettlementRun', 'SettlementWorkflow', 'MarketService')
), unfinished as (
  select newest.market, version, newest.run, runs.created_at,
    coalesce(progress.bets - settled, books.bets, 0) as bets_left
  from newest left join progress on progress.run = newest.run left join books on books.market = newest.market
    left join runs on runs.run = newest.run
  where coalesce(done, false) = false
)"""
"""Newest results of markets that are not carried out on every bet: their run goes on, or has ended too soon.

Where a run has not said how far it is, all bets of the market are left.
"""

SETTLEMENTS = f"""{_UNFINISHED_RESULTS}
select count(*) as running, coalesce(sum(bets_left), 0) as bets_left, min(created_at) as oldest from unfinished"""
"""How many there are, and how much they have to do."""

LEFT_RESULTS = f"""{_UNFINISHED_RESULTS}
select market from unfinished
where not exists (select 1 from work where place = run and service <> 'MarketService')
  and not exists (select 1 from work where place = market and service = 'MarketService')
order by market limit {{most}}"""
"""Those that nobody works on: neither a run of the result, nor whoever enters it into the market and starts the run."""

LEFT_TERMS = r"""
with markets as (
  select service_key as market, json_get_int(value_utf8, 'revision') as revision
  from state where service_name = 'MarketService' and key = 'market'
), books as (
  select regexp_replace(service_key, ':[0-9]+$', '') as market,
    min(json_get_int(json_get_json(value_utf8, 'terms'), 'revision')) as known
  from state where service_name = 'MarketBook' and key = 'book' group by 1
)
select markets.market as market from markets join books on books.market = markets.market and known < revision
where not exists (
  select 1 from sys_invocation_status
  where status <> 'completed' and target_service_name = 'MarketService' and target_service_key = markets.market)
order by 1 limit {most}"""
"""Markets that have changed since one of their books last heard of them, while nobody tells it."""


def _operations(field: str, kind: str, since: str, waits: str, grace: str) -> str:
    return f"""
select kind, player, id, since from (
  select '{kind}' as kind, player, id, it, {since} as since from (
    select player, id, json_get_json(everything, id) as it from (
      select player, json_get_json(document, '{field}') as everything,
        unnest(json_object_keys(document, '{field}')) as id
      from documents)))
where ({waits}) and since < '{{{grace}}}'"""


_STATUS = "json_get_str(it, 'status')"
_RESERVED = "json_get_str(it, 'reservedAt')"
_REFUND_DUE = "json_get_bool(it, 'refundDue')"
_WISH = "json_get_json(it, 'cashOut')"
_WISHES = f"{_STATUS} = 'open' and json_get_str({_WISH}, 'status') = 'delayed'"
_BET_SINCE = f"""coalesce(
      case when {_WISHES} then json_get_str({_WISH}, 'decideAt') end,
      json_get_str(it, 'decideAt'), json_get_str(it, 'placedAt'))"""
"""When a bet, or its cash-out, should have been decided."""


OLD_FOLLOW_UPS = """
select service_key as id from state
where service_name = 'DepositFollowUp' and key = 'followUp' and service_key > '{after}'
  and json_get_str(value_utf8, 'reservedAt') < '{before}'
  and json_get_str(value_utf8, 'phase') <> 'lookingUp' and json_get_bool(value_utf8, 'refunded') = false
order by 1 limit {most}"""
"""What is kept to answer about deposits that were reserved long ago, and that nobody looks up any more."""

LEFT_OPERATIONS = f"""{_THESE_DOCUMENTS}, refunded as (
  select service_key as refunded_id from state
  where service_name = 'DepositFollowUp' and key = 'followUp' and json_get_bool(value_utf8, 'refunded')
), waiting as (
{_operations("deposits", "deposit", _RESERVED, f"{_STATUS} = 'reserved'", "charged_before")}
union all
select * from ({_operations("deposits", "deposit", _RESERVED, _REFUND_DUE, "charged_before")})
where id not in (select refunded_id from refunded)
union all
{_operations("withdrawals", "withdrawal", "json_get_str(it, 'heldAt')", f"{_STATUS} = 'held'", "before")}
union all
{_operations("bets", "bet", _BET_SINCE, f"{_STATUS} in ('pending', 'delayed') or {_WISHES}", "before")}
), work as (
  select target_service_name as service, target_service_key as place, count(*) as n from sys_invocation_status
  where status <> 'completed' and (
    target_service_name in ('DepositFollowUp', 'WithdrawalFollowUp')
    or target_service_name = 'WithdrawalWorkflow' and target_handler_name = 'run'
    or target_service_name = 'PlayerService' and target_handler_name in ('decideBet', 'decideCashOut', 'resumeBet'))
  group by target_service_name, target_service_key
), busy_players as (
  select player, count(*) as bets, max(n) as n
  from waiting join work on service = 'PlayerService' and place = player
  where kind = 'bet' group by player
), abandoned as (
  select kind, player, id, since from waiting where
    kind = 'deposit' and not exists (select 1 from work where service = 'DepositFollowUp' and place = id)
    or kind = 'withdrawal' and not exists (
      select 1 from work where service in ('WithdrawalFollowUp', 'WithdrawalWorkflow') and place = id)
    or kind = 'bet' and not exists (
      select 1 from busy_players where busy_players.player = waiting.player and busy_players.n >= busy_players.bets)
), ranked as (
  select kind, player, id, since, count(*) over (partition by kind) as total,
    row_number() over (partition by kind order by since, player, id) as rank
  from abandoned
)
select * from ranked where rank <= {{most}} order by kind, rank"""
"""Deposits, refunds, withdrawals and bets of these players that have waited since `before`, and that no unfinished
invocation is for.

Which bet a player's invocation is for cannot be seen from here: there is one for each bet, or one is without.
"""

UNTOLD = f"""{_THESE_DOCUMENTS}, open_bets as (
  select player, place, bet, it from (
    select player, place, bet, json_get_json(everything, bet) as it from (
      select player, place, json_get_json(document, 'bets') as everything,
        unnest(json_object_keys(document, 'bets')) as bet
      from documents))
  where {_STATUS} = 'open'
), legs as (
  select player, place, bet, json_get_str(leg, 'marketId') as market,
    coalesce(json_get_int(leg, 'resultVersion'), 0) as known
  from (select player, place, bet, unnest(json_get_array(it, 'legs')) as leg from open_bets)
), results as (
  select service_key as market, json_get_int(value_utf8, 'resultVersion') as version,
    concat(service_key, ':', json_get_json(value_utf8, 'resultVersion')) as run
  from state where service_name = 'MarketService' and key = 'market' and json_get_int(value_utf8, 'resultVersion') > 0
), done as (
  select service_key as run from state
  where service_name in ('SettlementRun', 'SettlementWorkflow') and key = 'progress'
    and json_get_bool(value_utf8, 'done')
)
select distinct player, bet, place
from legs join results on results.market = legs.market join done on done.run = results.run
where known < version order by player, bet limit {{most}}"""
"""Open bets of these players that do not know a result of which all bets have been told: the page with them is lost."""

_PAGES = """
with markets as (
  select service_key as market from state
  where service_name = 'MarketService' and key = 'market' and json_get_str(value_utf8, 'status') <> 'settled'
), pages as (
  select partition_key as place, service_key as page_key, regexp_replace(service_key, ':[0-9]+$', '') as market,
    try_cast(regexp_replace(service_key, '^.*:', '') as bigint) as book, json_get_int(value_utf8, 'fullPages') as page,
    json_get_json(json_get_json(value_utf8, 'newest'), 'bets') as bets
  from state where service_name = 'MarketBook' and key = 'book'
  union all
  select partition_key, service_key, regexp_replace(service_key, ':[0-9]+:[0-9]+$', ''),
    try_cast(regexp_replace(regexp_replace(service_key, ':[0-9]+$', ''), '^.*:', '') as bigint),
    try_cast(regexp_replace(service_key, '^.*:', '') as bigint), json_get_json(value_utf8, 'bets')
  from state where service_name = 'MarketBookPage' and key = 'page'
)"""

PAGE_PLACES = f"""{_PAGES}
select place from pages join markets on markets.market = pages.market
where place > {{after}} order by place limit {{most}}"""
"""Where the next pages of bets on markets without a result are, in the order of their partition keys."""

ORPHANS = f"""{_PAGES}{_DOCUMENTS.replace("with ", ", ", 1)}, legs as (
  select market, book, page, split_part(name, '/', 1) as player, split_part(name, '/', 2) as bet,
    coalesce(json_get_int(json_get_json(bets, name), 'changes'), 0) as counted from (
    select pages.market, book, page, bets, unnest(json_object_keys(bets)) as name
    from pages join markets on markets.market = pages.market
    where place > {{after}} and place <= {{upto}} or page_key in ({{again}}))
), placed as (
  select market, book, page, legs.player, bet, counted, json_get_json(json_get_json(document, 'bets'), bet) as it
  from legs left join documents on documents.player = legs.player
), kept as (
  select market, page, player, bet from (
    select market, page, player, bet, unnest(json_get_array(it, 'legs')) as leg
    from placed where json_get_str(it, 'status') in ('open', 'settled', 'cashedOut')
      and coalesce(json_get_int(it, 'exposureChanges'), 0) <= counted)
  where json_get_str(leg, 'marketId') = market and coalesce(json_get_int(leg, 'page'), page) = page
)
select market, book, page, player, bet, it is null as unknown from placed
where not exists (
  select 1 from kept where kept.market = placed.market and kept.page = placed.page
    and kept.player = placed.player and kept.bet = placed.bet)
order by market, book, page, player, bet limit {{most}}"""
"""Legs on these pages, and on those named, for which their player's document has no bet that was accepted.

And those that count otherwise than their bet does since: the market was not told.

A bet that has ended may have left the document; then it is `unknown`, and the player has to be asked.
"""

_MOVED = """
where posting is not null and at >= '{since}' and at < '{until}'"""
_ENTRY = """json_get_int(entry, 'seq') as seq, json_get_str(entry, 'at') as at, json_get_str(entry, 'kind') as kind,
    json_get_str(entry, 'reference') as reference, json_get_str(entry, 'walletId') as wallet,
    try_cast(json_get_json(json_get_json(entry, 'postings'), 'provider') as bigint) as posting"""
_OF_DOCUMENTS = f"""
  select player, wallets, {_ENTRY} from (
    select service_key as player, json_get_json(value_utf8, 'wallets') as wallets,
      unnest(json_get_array(value_utf8, 'entries')) as entry
    from state where service_name = 'PlayerService' and key = 'player' and ({{words}}))"""
_OF_PAGES = f"""
  select player, {_ENTRY} from (
    select regexp_replace(service_key, ':[0-9]+$', '') as player,
      unnest(json_get_array(value_utf8, 'entries')) as entry
    from state
    where service_name = 'StatementService' and key = 'page' and regexp_like(service_key, ':[0-9]+$')
      and ({{words}}))"""

MOVED_IN_DOCUMENTS = f"""
select player, seq, at, kind, reference, wallet, posting,
  json_get_str(json_get_json(wallets, wallet), 'currency') as currency
from ({_OF_DOCUMENTS}){_MOVED}"""
"""Entries on the accounts `provider` between two moments, in documents whose text has the `words` of such a moment."""

MOVED_ON_PAGES = f"""
with moved as (
  select * from ({_OF_PAGES}){_MOVED}
), wallets as (
  select player, wallet, json_get_str(json_get_json(all_wallets, wallet), 'currency') as currency from (
    select service_key as player, json_get_json(value_utf8, 'wallets') as all_wallets,
      unnest(json_object_keys(value_utf8, 'wallets')) as wallet
    from state where service_name = 'PlayerService' and key = 'player')
)
select moved.player, seq, at, kind, reference, moved.wallet, posting, currency
from moved join wallets on wallets.player = moved.player and wallets.wallet = moved.wallet"""
"""The same on pages. An entry that moves from the one to the other is seen in both, or in neither."""

HOURS = f"""
select hour, count(*) as entries from (
  select substr(at, 1, 13) as hour from ({_OF_DOCUMENTS.format(words="true")}) where posting is not null
  union all
  select substr(at, 1, 13) from ({_OF_PAGES.format(words="true")}) where posting is not null
) group by hour order by hour"""
"""How many of these entries there are, by the hour as their moments begin."""

SAMPLE = """
select service_key as player, partition_key as place from state
where service_name = 'PlayerService' and key = 'player' and partition_key > {after}
order by partition_key limit {most}"""
"""The next players in the order of their partition keys, which are spread evenly."""

LAST_PLACE = 2**64 - 1
"""The greatest partition key."""
