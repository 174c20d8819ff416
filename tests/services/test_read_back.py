"""What of stored documents the code reads and writes back, as `POST /documents` of a rehearsal says it."""

import ast
import asyncio
import base64
import importlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from restate import VirtualObject, Workflow
from restate.serde import Serde

from app.composition import SERVICES
from app.domain.model import Moment, Wire
from app.services import stored
from app.services.player.archive import Packed
from app.services.read_back import ReadBack, read_back
from app.services.rehearsal_documents import MAX_DOCUMENTS, answer, documents_app
from app.services.shell.wire import Document, Json
from app.services.stored import STORED, Scalar, Stored, stored_as

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "data" / "state").glob("*/*.json"))
WHERE = {
    "player": ("PlayerService", "u-1", "player"),
    "archive-index": ("PlayerService", "u-1", "archive"),
    "archive-page": ("StatementService", "u-1:archive-3", "page"),
    "statement-page": ("StatementService", "u-1:3", "page"),
    "follow-up": ("DepositFollowUp", "d-1", "followUp"),
    "payout": ("WithdrawalFollowUp", "x-1", "payout"),
    "market": ("MarketService", "m-1", "market"),
    "book": ("MarketBook", "m-1:0", "book"),
    "market-feed": ("MarketFeed", "m-1", "feed"),
    "market-quarantine": ("MarketQuarantine", "m-1", "quarantine"),
}
files = pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")


def result_of(file: str, document: bytes | Any) -> ReadBack:
    kind = stored_as(*WHERE[file])
    assert kind is not None
    return read_back(kind, document if isinstance(document, bytes) else json.dumps(document).encode())


def newest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILES[-1].with_name(f"{name}.json").read_text())
    return document


CLEARED = object()
"""In the place of a model, which a document that is cleared needs none of."""


def uses_of_state() -> Iterator[tuple[str, object]]:
    """The name and the model of each `ctx.get`, `ctx.set` and `ctx.clear` in the services; None without a serde."""
    for path in sorted((ROOT / "app" / "services").rglob("*.py")):
        calls = [
            call
            for call in ast.walk(ast.parse(path.read_text()))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in ("get", "set", "clear")
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "ctx"
        ]
        module = vars(importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))) if calls else {}
        for call in calls:
            [serde] = [eval(ast.unparse(one.value), module) for one in call.keywords if one.arg == "serde"] or [None]
            assert serde is None or isinstance(serde, Document | Packed), "what cannot be read must be told"
            is_cleared = isinstance(call.func, ast.Attribute) and call.func.attr == "clear"
            yield eval(ast.unparse(call.args[0]), module), CLEARED if is_cleared else what_reads(serde)


def what_reads(serde: Serde[Any] | None) -> object:
    if serde is None or isinstance(serde, Scalar):
        return None
    return serde.model if isinstance(serde, Json) else type(serde)


def test_the_registry_has_each_document_that_a_handler_reads_or_writes() -> None:
    uses = set(uses_of_state())
    used = {use for use in uses if use[1] is not CLEARED}

    assert len(used) > 10
    assert {(kind.name, what_reads(kind.serde)) for kind in STORED} == used
    assert {name for name, _ in uses} == {name for name, _ in used}, "what is cleared is written somewhere"


WITHOUT_DOCUMENTS = {"MarketTeller"}
"""An object for the sake of its queue alone."""


def test_each_object_and_workflow_has_documents_in_the_registry() -> None:
    keyed = {service.name for service in SERVICES if isinstance(service, VirtualObject | Workflow)}

    assert keyed == stored.SERVICES | WITHOUT_DOCUMENTS
    assert not stored.SERVICES & WITHOUT_DOCUMENTS


@pytest.mark.parametrize("key", ["u-1:3", "u-1:archive-3", "archive-3", "u:archive-3:7", "", "a\nb:archive-1"])
def test_a_key_has_one_kind_of_document(key: str) -> None:
    found = [kind for kind in STORED if kind is stored_as(kind.service, key, kind.name)]

    assert len(found) == len({(kind.service, kind.name) for kind in STORED})


@files
def test_state_of_every_version_is_read_and_written_back_whole(file: Path) -> None:
    assert result_of(file.stem, file.read_bytes()) == ReadBack()


@files
def test_fields_of_a_newer_version_are_kept(file: Path) -> None:
    document = json.loads(file.read_text()) | {"fieldOfTomorrow": {"a": [1]}}

    assert result_of(file.stem, document) == ReadBack()


def test_a_field_that_the_model_drops_is_lost() -> None:
    run = {"bets": 3, "settled": 1, "paid": 100, "done": False, "ofTomorrow": {"a": 1}, "empty": None}

    kind = stored_as("SettlementRun", "m-1:1", "progress")

    assert kind is not None
    assert read_back(kind, json.dumps(run).encode()) == ReadBack(lost=("ofTomorrow",))


class Leg(Wire):
    odds: int = 0


class Betslip(Wire):
    legs: list[Leg] = Field(default_factory=list)
    by_name: dict[str, Leg] = Field(default_factory=dict)
    at: Moment | None = None


BETSLIP = Stored("S", "betslip", Json(Betslip))


def test_a_path_names_fields_and_neither_keys_nor_numbers() -> None:
    document = {"legs": [{"odds": 1}, {"odds": 2, "note": "x"}], "byName": {"Ann Smith": {"note": "y"}}}

    assert read_back(BETSLIP, json.dumps(document).encode()).lost == ("legs.*.note", "byName.*.note")


def test_what_cannot_be_read_is_told_by_its_schema() -> None:
    document = {"legs": [{"odds": "Ann Smith"}], "byName": {"Ann Smith": {"odds": None}}}

    assert read_back(BETSLIP, json.dumps(document).encode()).unreadable == (
        "legs.*.odds: int_parsing: Input should be a valid integer, unable to parse string as an integer",
        "byName.*.odds: int_type: Input should be a valid integer",
    )


def test_another_value_is_a_change() -> None:
    assert read_back(BETSLIP, b'{"legs": [{"odds": "7"}]}').changed == ("legs.*.odds",)


@pytest.mark.parametrize(
    ("at", "changed"),
    [
        ("2026-01-02T03:04:05Z", ()),
        ("2026-01-02T04:04:05+01:00", ()),
        ("2026-01-02T03:04:05.000123Z", ("at",)),  # written to the millisecond
    ],
)
def test_the_same_moment_is_no_change_however_it_is_written(at: str, changed: tuple[str, ...]) -> None:
    assert read_back(BETSLIP, json.dumps({"at": at}).encode()) == ReadBack(changed=changed)


@pytest.mark.parametrize("text", [b"", b"{}x", b"[]", b"null", b"\xff\xfe", b'{"userId": 7}'])
def test_what_is_no_document_of_a_player_is_unreadable(text: bytes) -> None:
    assert result_of("player", text).unreadable


@given(st.data())
def test_a_wrong_type_anywhere_is_told_and_no_value_is(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(FILES))
    document = json.loads(file.read_text())
    name = data.draw(
        st.sampled_from(sorted(name for name, value in document.items() if isinstance(value, dict | int | list)))
    )
    document[name] = "Ann Smith of 7 Main Street"

    result = result_of(file.stem, document)

    assert result.unreadable or result.changed
    assert "Ann" not in str(result)


def test_packed_bytes_and_single_values_are_read_too() -> None:
    packed = zlib.compress(bytes(64))

    assert _of("PlayerService", "archive-filter", packed) == ReadBack()
    assert _of("PlayerService", "archive-filter", b"no").unreadable == ("its ArchiveFilter cannot be unpacked",)
    assert _of("PlayerService", "archive-filter", zlib.compress(b"")).unreadable == ("its ArchiveFilter is empty",)
    assert _of("PlayerService", "archive-filter", b"").unreadable == ("it is empty",)
    assert _of("WithdrawalWorkflow", "status", b'"held"') == ReadBack()
    assert _of("WithdrawalWorkflow", "status", b"").unreadable == ("it is empty",)
    assert _of("WithdrawalWorkflow", "status", b'"lent"').unreadable != ()


def _of(service: str, name: str, value: bytes) -> ReadBack:
    kind = stored_as(service, "k", name)
    assert kind is not None
    return read_back(kind, value)


def asked_about(service: str = "PlayerService", name: str = "player", value: bytes = b"{}") -> dict[str, str]:
    return {"service": service, "key": "ann", "name": name, "value": base64.b64encode(value).decode()}


def asked(documents: object) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=documents_app), base_url="http://rehearsal"
        ) as http:
            return await http.post("/documents", json=documents)

    return asyncio.run(ask())


def test_each_document_of_a_request_is_judged_in_its_place() -> None:
    player = json.dumps(newest("player")).encode()
    answered = asked(
        [
            asked_about(value=player),
            asked_about(value=b"{}"),
            asked_about("SettlementRun", "progress", b'{"x": 1}'),
            asked_about("Gone", "x"),
            asked_about("PlayerService", "nickname"),
        ]
    )

    assert answered.status_code == 200
    assert [[item["verdict"] for item in items] for items in answered.json()] == [
        ["whole"],
        ["unreadable"],
        ["lost"],
        ["unknownService"],
        ["unknownName"],
    ]
    assert answered.json()[2] == [{"verdict": "lost", "problems": ["x"]}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 400),
        (b"no", 400),
        (json.dumps([{**asked_about(), "value": "*"}]).encode(), 400),
        (json.dumps([asked_about()] * (MAX_DOCUMENTS + 1)).encode(), 413),
        (b"[]", 200),
    ],
)
def test_a_request_is_bounded(body: bytes, status: int) -> None:
    assert answer(body)[0] == status


def test_a_body_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.rehearsal_documents.MAX_BYTES", 10)

    assert asked([asked_about()]).status_code == 413
