"""A stored document that this code cannot read: who only reads is told at once, and work waits until it is mended."""

import asyncio
import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from prometheus_client import Gauge

from app.composition import SERVICES
from app.domain.archive import MAX_PAGES, ArchiveIndex, Operations, bucket_of, hash_of, name_of
from app.domain.archive_pages import MAX_ENDED, ArchivePage
from app.domain.follow_up import FollowUp
from app.domain.model import Wire
from app.domain.payments import ChargeRequest
from app.services.player.archive import FILTER, INDEX, bucket_key, put_away
from app.services.player.statements import archive_key
from app.services.shell.access import READS_HEADER, only_reads, public_handlers
from app.services.shell.wire import Document, UnreadableError
from app.telemetry import metrics
from tests.bench.planting import NOW, PAGE, SHARDS, market_with_bets, old_bet, plant, veterans
from tests.helpers.withdrawals import rich, withdraw
from tests.helpers.withdrawals import status as withdrawal_status
from tests.running import System, running

LIMIT = {"kind": "deposit", "period": "day", "amount": 5_000}
MANY_TRIES = 8
UNREADABLE_DOCUMENT = b'"Ann Smith"'
VETERANS_BETS = MAX_ENDED + (MAX_PAGES + 1) * PAGE
"""So many that the first pages of the archive are in buckets."""
OFFER = {"name": "A game", "selections": [{"selectionId": "home", "name": "Home", "price": "2.50"}]}


@dataclass(frozen=True)
class Object:
    """An object, what is stored of it, how it is read, and what is asked of it that needs its document."""

    service: str
    name: str
    document: bytes
    read: str
    work: str
    request: Any


OBJECTS = [
    Object("PlayerService", "player", b'{"userId": ["Ann Smith"]}', "getAccount", "setLimit", LIMIT),
    Object("PlayerService", "player", b"", "getLimits", "setLimit", LIMIT),
    Object("MarketService", "market", b'{"name": "Ann Smith"}', "get", "open", OFFER),
    Object("DepositFollowUp", "followUp", b'{"phase": "Ann Smith"}', "status", "cancel", {}),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("broken")) as system:
        yield system


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one.service}/{one.read}")
def test_who_reads_is_told_and_work_waits_until_the_document_is_mended(broken: System, one: Object) -> None:
    key = f"k-{one.service}-{one.read}"
    broken.plant(one.service, key, {one.name: one.document})

    answer = broken.call(one.service, one.read, {}, key)

    assert answer.status_code == 500
    assert answer.json()["metadata"]["reason"] == "unreadable_document"
    assert answer.json()["message"].startswith(f"what is stored of {one.service}/{key} cannot be read")
    assert f"{one.service}/{key}: its " in broken.log()
    assert (key, one.service) in broken.metrics("betting_unreadable_document_timestamp_seconds")

    broken.call(one.service, f"{one.work}/send", one.request, key)
    broken.eventually(lambda: [status for _, status in work(broken, one, key)] == ["backing-off"])
    broken.put(one.service, key, {})  # it waits behind the work
    [(holder, _)] = work(broken, one, key)
    httpx.patch(f"{broken.admin}/invocations/{holder}/kill").raise_for_status()

    broken.eventually(lambda: broken.call(one.service, one.read, {}, key).status_code in (200, 404))
    assert "Ann Smith" not in broken.log()


@dataclass(frozen=True)
class Through:
    """A read whose answer needs the document of another object."""

    read: tuple[str, str, str]
    """The service, the key and the handler that are asked."""
    broken: tuple[str, str, str]
    """The service, the key and the name of the document that cannot be read."""
    request: Mapping[str, str | int] = field(default_factory=dict)


GAMBLER, GAME = "u-through", "m-through"
READS_THROUGH_ANOTHER = [
    Through(("DepositFollowUp", "d-through", "status"), ("PlayerService", "u-through-d", "player")),
    Through(("SettlementWorkflow", f"{GAME}:1", "progress"), ("SettlementRun", f"{GAME}:1", "progress")),
    Through(("SettlementWorkflow", "m-through-r:1", "progress"), ("MarketService", "m-through-r", "market")),
    Through(("PlayerService", GAMBLER, "getStatement"), ("StatementService", f"{GAMBLER}:1", "page"), {"page": 1}),
    Through(("MarketService", GAME, "get"), ("MarketBook", f"{GAME}:0", "book")),
    Through(("MarketService", GAME, "liability"), ("MarketBook", f"{GAME}:1", "book")),
]


@pytest.fixture(scope="module")
def asked(broken: System) -> System:
    """The system with what reads through another object need, but for what cannot be read."""
    asyncio.run(plant(broken.admin, [*veterans([GAMBLER], VETERANS_BETS), *market_with_bets(GAME, [])]))
    broken.plant("DepositFollowUp", "d-through", {"followUp": follow_up("d-through", "u-through-d")})
    return broken


def follow_up(deposit_id: str, user_id: str) -> bytes:
    """The follow-up of a deposit that is still being charged."""
    charge = ChargeRequest(
        reference=deposit_id, user_id=user_id, wallet_id="w", amount=1, currency="EUR", payment_method="card"
    )
    return FollowUp(charge=charge, reserved_at=NOW).model_dump_json().encode()


@pytest.mark.parametrize("one", READS_THROUGH_ANOTHER, ids=lambda one: f"{one.read[0]}/{one.read[2]}-{one.broken[0]}")
def test_who_reads_through_another_object_is_told_too_and_nothing_is_left(asked: System, one: Through) -> None:
    told_of(asked, one)


def test_who_reads_a_bet_from_the_archive_is_told_of_the_page_or_of_the_bucket(asked: System) -> None:
    hashed = hash_of(name_of(Operations.BETS, old_bet(0)))
    bucket, page = bucket_key(GAMBLER, bucket_of(hashed)), archive_key(GAMBLER, 1)
    read, request = ("PlayerService", GAMBLER, "getBet"), {"betId": old_bet(0)}

    told_of(asked, Through(read, ("ArchiveBucket", bucket, "bucket"), request))
    told_of(asked, Through(read, ("StatementService", page, "page"), request))


@pytest.mark.parametrize("packed", [b"", zlib.compress(b""), None], ids=["nothing", "unpacks to nothing", "lost"])
def test_who_reads_an_old_bet_is_told_of_a_filter_that_is_none(asked: System, packed: bytes | None) -> None:
    whole = asked.state("PlayerService", GAMBLER)
    others = {name: document for name, document in whole.items() if name != FILTER}
    asked.plant("PlayerService", GAMBLER, others if packed is None else {**others, FILTER: packed})

    answer = asked.call("PlayerService", "getBet", {"betId": old_bet(0)}, GAMBLER)

    asked.plant("PlayerService", GAMBLER, whole)
    assert answer.status_code == 500
    assert answer.json()["metadata"]["reason"] == "unreadable_document"
    assert f"PlayerService/{GAMBLER}: its ArchiveFilter " in asked.log()


class Shelf:
    """The context of a player's object, with what is stored there."""

    def __init__(self, stored: Mapping[str, object]) -> None:
        self.stored = dict(stored)

    def key(self) -> str:
        return "u"

    async def get(self, name: str, serde: object) -> object:
        return self.stored.get(name)

    def set(self, name: str, value: object, serde: object) -> None:
        self.stored[name] = value

    def object_send(self, *asked: object) -> None:
        pass


def test_a_filter_that_is_lost_is_not_replaced_by_one_that_knows_only_what_is_archived_now() -> None:
    full = ["".join(hash_of(str(number)) for number in range(PAGE))] * (MAX_PAGES + 1)

    with pytest.raises(UnreadableError, match="lost"):
        asyncio.run(put_away(cast(Any, Shelf({INDEX: ArchiveIndex(pages=["", *full])})), ArchivePage()))


def test_who_asks_for_a_withdrawal_of_a_player_who_cannot_be_read_is_told(broken: System) -> None:
    player = rich(broken)
    name = withdraw(broken, player)["withdrawalId"]
    broken.eventually(lambda: withdrawal_status(broken, name) == "paid")

    told_of(broken, Through(("WithdrawalWorkflow", name, "status"), ("PlayerService", str(player["userId"]), "player")))


def told_of(system: System, one: Through) -> None:
    """Let a document be none that can be read, read what needs it, and mend it."""
    (service, key, handler), (its_service, its_key, name) = one.read, one.broken
    whole = system.state(its_service, its_key)
    system.plant(its_service, its_key, {name: UNREADABLE_DOCUMENT})

    def left() -> list[int]:
        """How often each invocation of the two objects that has not ended was started."""
        sql = "select retry_count from sys_invocation where status <> 'completed'"
        rows = system.query(f"{sql} and target_service_key in ('{key}', '{its_key}')")
        return [row.get("retry_count", 0) for row in rows]

    system.call(service, f"{handler}/send", one.request, key)
    system.eventually(lambda: (its_key, its_service) in system.metrics("betting_unreadable_document_timestamp_seconds"))
    system.eventually(lambda: not left() or max(left(), default=0) >= MANY_TRIES)
    assert max(left(), default=0) < MANY_TRIES, "it waits until the document is mended"

    answer = system.call(service, handler, one.request, key)

    assert answer.status_code == 500
    assert answer.json()["metadata"]["reason"] == "unreadable_document"
    assert answer.json()["message"].startswith(f"what is stored of {its_service}/{its_key} cannot be read")
    system.eventually(lambda: left() == [])
    system.plant(its_service, its_key, whole)


@pytest.mark.parametrize(
    ("service", "handler", "waiting"),
    [("DepositFollowUp", "cancel", "findDeposit"), ("PlayerService", "setLimit", "setLimit")],
)
def test_a_change_waits_whatever_its_caller_says(broken: System, service: str, handler: str, waiting: str) -> None:
    key, request = f"k-{handler}", LIMIT if handler == "setLimit" else {}
    broken.plant("PlayerService", key, {"player": UNREADABLE_DOCUMENT})
    broken.plant("DepositFollowUp", key, {"followUp": follow_up(key, key)})

    broken.call(service, f"{handler}/send", request, key, headers={READS_HEADER: "true"})

    def tries() -> dict[str, int]:
        """How often each handler of the player that has not ended was started."""
        sql = "select target_handler_name as handler, retry_count from sys_invocation where status <> 'completed'"
        ours = f"target_service_key = '{key}' and target_handler_name <> 'audit'"  # that is the bookkeeper's
        rows = broken.query(f"{sql} and target_service_name = 'PlayerService' and {ours}")
        return {row["handler"]: row.get("retry_count", 0) for row in rows}

    broken.eventually(lambda: f"PlayerService/{key}: its Player " in broken.log())
    with suppress(pytest.fail.Exception):  # what it does instead says more
        broken.eventually(lambda: tries().get(waiting, 0) > 1)
    assert list(tries()) == [waiting]


def test_a_change_is_on_its_way_to_every_other_shard_and_prices_are_read_while_one_shard_is_stuck(
    broken: System,
) -> None:
    market_id, shards = "m-stuck", [f"m-stuck:{number}" for number in range(SHARDS)]
    asyncio.run(plant(broken.admin, market_with_bets(market_id, [])))
    broken.eventually(lambda: all(broken.state("MarketBook", shard) for shard in shards))
    broken.plant("MarketBook", shards[0], {"book": b'{"terms": "Ann Smith"}'})

    broken.call("MarketService", "setPrices/send", {"prices": {"home": "2.22"}}, market_id)

    def told() -> bool:
        return all(knows(broken, shard, "2.22") for shard in shards[1:])

    broken.eventually(lambda: told() or max(tries(broken, "hear"), default=0) >= MANY_TRIES)
    assert told(), "shards wait for one that is stuck"

    answers: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(broken.call("MarketService", "prices", None, market_id)), daemon=True
    )
    asking.start()
    broken.eventually(lambda: answers or tries(broken, "extent"))
    assert not tries(broken, "extent"), "prices wait for a shard"
    assert answers[0].is_success, "prices ask a shard"
    assert answers[0].json()["prices"] == {"home": "2.22", "away": "2.00"}
    assert tries(broken, "setPrices"), "it is answered before every shard knows the price"


def knows(system: System, shard: str, home: str) -> bool:
    known: bool = json.loads(system.state("MarketBook", shard)["book"])["terms"]["prices"]["home"] == home
    return known


def tries(system: System, handler: str) -> list[int]:
    """How often each invocation of a handler that has not ended was started."""
    sql = f"select retry_count from sys_invocation where status <> 'completed' and target_handler_name = '{handler}'"
    return [row.get("retry_count", 0) for row in system.query(sql)]


def work(system: System, one: Object, key: str) -> list[tuple[str, str]]:
    where = f"target_service_name = '{one.service}' and target_service_key = '{key}'"
    sql = f"select id, status from sys_invocation where status <> 'completed' and {where}"
    return [(row["id"], row["status"]) for row in system.query(sql)]


class Slip(Wire):
    by_name: dict[str, int]


def test_what_is_wrong_is_told_without_a_value_or_a_key_of_a_map() -> None:
    with pytest.raises(UnreadableError, match=r"^its Slip cannot be read: byName: int_parsing$"):
        Document(Slip).deserialize(b'{"byName": {"Ann Smith": "secret"}}')


def test_readers_are_public_handlers_that_change_nothing() -> None:
    assert sorted(f"{one.service}/{one.handler}" for one in public_handlers(SERVICES) if one.only_reads) == [
        "DepositFollowUp/status",
        "MarketQuarantine/list",
        "MarketService/get",
        "MarketService/liability",
        "MarketService/prices",
        "PlayerService/audit",
        "PlayerService/getAccount",
        "PlayerService/getBet",
        "PlayerService/getLimits",
        "PlayerService/getStatement",
        "PlayerService/listBets",
        "SettlementWorkflow/progress",
        "WithdrawalWorkflow/status",
    ]
    handlers = [handler for service in SERVICES for handler in service.handlers.values()]
    assert {handler.kind for handler in handlers if only_reads(handler)} == {"shared"}


def test_a_process_names_so_many_objects_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_unreadable", set())
    named: list[str] = []

    def labels(service: str, key: str) -> Any:
        named.append(key)
        return Gauge("x", "x", registry=None)

    monkeypatch.setattr(metrics.UNREADABLE, "labels", labels)

    for number in [*range(metrics.MOST_UNREADABLE + 2), 0]:
        metrics.unreadable("PlayerService", f"u-{number}")

    assert named[-3:] == [metrics.OTHERS, metrics.OTHERS, "u-0"]
