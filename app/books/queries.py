"""The questions that the bookkeeper asks Restate's state, as SQL: Restate adds up, so that no document comes here.

A number is read by `try_cast(json_get_json(...))`, since `json_get_int` of Restate 1.7 gives null for a negative one.
"""

NAMED = 10
"""The most wallets that one answer names."""

_DOCUMENTS = """
with documents as (
  select service_key as player, value_utf8 as document
  from state where service_name = 'PlayerService' and key = 'player'
)"""

_WALLETS = f"""{_DOCUMENTS}, of_players as (
  select player, json_get_json(document, 'wallets') as all_wallets,
    unnest(json_object_keys(document, 'wallets')) as wallet
  from documents
), wallets as (
  select player, wallet, json_get_str(json_get_json(all_wallets, wallet), 'currency') as currency,
    json_get_json(json_get_json(all_wallets, wallet), 'accounts') as accounts
  from of_players
), named as (
  select player, wallet, currency, accounts, unnest(json_object_keys(accounts)) as account from wallets
), balances as (
  select player, wallet, currency, account, try_cast(json_get_json(accounts, account) as bigint) as balance from named
), sums as (
  select player, wallet, sum(balance) as off, sum(balance) filter (where account = 'cash') as cash
  from balances group by player, wallet
)"""

PLAYERS = f"""{_DOCUMENTS}
select count(*) as players, count(*) filter (where json_get_str(document, 'userId') is null) as unreadable
from documents"""
"""How many documents there are, and how many of them are none."""

BALANCES = f"""{_WALLETS}
select currency, account, cast(sum(balance) as bigint) as balance, count(*) filter (where balance is null) as unreadable
from balances group by currency, account"""
"""What all wallets hold on each account."""

WALLETS = f"""{_WALLETS}
select count(*) filter (where off <> 0) as unbalanced, count(distinct player) filter (where cash < 0) as in_debt
from sums"""
"""Wallets whose accounts do not sum to zero, and players who owe."""

UNBALANCED = f"""{_WALLETS}
select player, wallet, off from sums where off <> 0 order by player, wallet limit {NAMED}"""
"""Which wallets these are."""

OPERATIONS = f"""{_DOCUMENTS}, deposits as (
  select json_get_json(all_deposits, id) as deposit from (
    select json_get_json(document, 'deposits') as all_deposits, unnest(json_object_keys(document, 'deposits')) as id
    from documents)
), withdrawals as (
  select json_get_json(all_withdrawals, id) as withdrawal from (
    select json_get_json(document, 'withdrawals') as all_withdrawals,
      unnest(json_object_keys(document, 'withdrawals')) as id
    from documents)
)
select 'deposits' as operation, count(*) as n, min(json_get_str(deposit, 'reservedAt')) as oldest from deposits
where json_get_str(deposit, 'status') = 'reserved' and json_get_str(deposit, 'reservedAt') < '{{before}}'
union all
select 'withdrawals', count(*), min(json_get_str(withdrawal, 'heldAt')) from withdrawals
where json_get_str(withdrawal, 'status') = 'held'"""
"""Deposits that were reserved `before` a moment and have no outcome, and withdrawals that are held."""

MARKETS = r"""
with markets as (
  select service_key as market from state
  where service_name = 'MarketService' and key = 'market' and json_get_str(value_utf8, 'status') <> 'settled'
), books as (
  select regexp_replace(service_key, ':[0-9]+$', '') as market, json_get_json(value_utf8, 'used') as used,
    unnest(json_object_keys(value_utf8, 'used')) as selection
  from state where service_name = 'MarketBook' and key = 'book'
), selections as (
  select market, sum(try_cast(json_get_json(used, selection) as bigint)) as liability
  from books group by market, selection
), worst as (
  select market, max(liability) as liability from selections group by market
)
select count(*) as open, coalesce(sum(liability), 0) as liability
from markets left join worst on worst.market = markets.market"""
"""Markets without a result, and what the house loses if in each of them its worst selection wins."""

SETTLEMENTS = """
with runs as (
  select target_service_key as run, created_at from sys_invocation_status
  where target_service_name = 'SettlementWorkflow' and target_handler_name = 'run'
), progress as (
  select service_key as run, json_get_bool(value_utf8, 'done') as done,
    json_get_int(value_utf8, 'bets') - json_get_int(value_utf8, 'settled') as bets_left
  from state where service_name = 'SettlementWorkflow' and key = 'progress'
), newest as (
  select concat(service_key, ':', json_get_json(value_utf8, 'resultVersion')) as run
  from state where service_name = 'MarketService' and key = 'market'
)
select count(*) as running, coalesce(sum(bets_left), 0) as bets_left, min(created_at) as oldest
from newest join runs on runs.run = newest.run left join progress on progress.run = newest.run
where coalesce(done, false) = false"""
"""Newest results of markets that are not carried out on every bet: their run goes on, or has ended too soon.

A run is known for 90 days after its end, with its progress; both are forgotten together.
"""

SAMPLE = """
select service_key as player, partition_key as place from state
where service_name = 'PlayerService' and key = 'player' and partition_key > {after}
order by partition_key limit {most}"""
"""The next players in the order of their partition keys, which are spread evenly."""

LAST_PLACE = 2**64 - 1
"""The greatest partition key."""
