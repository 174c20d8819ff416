"""A stored document that this code cannot read: who only reads is told at once, and work waits until it is mended."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client import Gauge

from app.composition import SERVICES
from app.domain.model import Wire
from app.services.shell.access import only_reads, public_handlers
from app.services.shell.wire import Document, UnreadableError
from app.telemetry import metrics
from tests.bench.planting import SHARDS, market_with_bets, plant
from tests.running import System, running

LIMIT = {"kind": "deposit", "period": "day", "amount": 5_000}
MANY_TRIES = 8
OFFER = {"name": "A game", "selections": [{"selectionId": "home", "name": "Home", "price": "2.50"}]}


@dataclass(frozen=True)
class Object:
    """An object, what is stored of it, how it is read, and what is asked of it that needs its document."""

    service: str
    name: str
    document: Any
    read: str
    work: str
    request: Any


OBJECTS = [
    Object("PlayerService", "player", {"userId": ["Ann Smith"]}, "getAccount", "setLimit", LIMIT),
    Object("MarketService", "market", {"name": "Ann Smith"}, "get", "open", OFFER),
    Object("DepositFollowUp", "followUp", {"phase": "Ann Smith"}, "status", "cancel", {}),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("broken")) as system:
        yield system


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: one.service)
def test_who_reads_is_told_and_work_waits_until_the_document_is_mended(broken: System, one: Object) -> None:
    key = f"k-{one.service}"
    broken.plant(one.service, key, {one.name: json.dumps(one.document).encode()})

    answer = broken.call(one.service, one.read, {}, key)

    assert answer.status_code == 500
    assert answer.json()["metadata"]["reason"] == "unreadable_document"
    assert answer.json()["message"].startswith(f"what is stored of {one.service}/{key} cannot be read")
    assert f"{one.service}/{key}: its " in broken.log()
    assert (key, one.service) in broken.metrics("betting_unreadable_document_timestamp_seconds")

    broken.call(one.service, f"{one.work}/send", one.request, key)
    broken.eventually(lambda: [status for _, status in work(broken, one, key)] == ["backing-off"])
    mended = {"object_key": key, "new_state": {}}  # it waits for its turn, behind the work
    httpx.post(f"{broken.admin}/services/{one.service}/state", json=mended).raise_for_status()
    [(holder, _)] = work(broken, one, key)
    httpx.patch(f"{broken.admin}/invocations/{holder}/kill").raise_for_status()

    broken.eventually(lambda: broken.call(one.service, one.read, {}, key).status_code in (200, 404))
    assert "Ann Smith" not in broken.log()


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
