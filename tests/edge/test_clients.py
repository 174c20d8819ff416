"""Clients that are generated from the description of the API, which the door gives to anyone."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.edge.conftest import Door
from tests.edge.packages import NODE, installed
from tests.edge.raw import Answer, ask
from tests.helpers.described import described

TYPESCRIPT = Path(__file__).parent / "typescript"
OPERATIONS = {path["post"]["operationId"]: path["post"]["tags"][0] for path in described()["paths"].values()}
GENERATE_SECONDS = 120


class Client:
    """A Python client as openapi-python-client makes it, and what it calls things."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._open: list[httpx.Client] = []
        self.models: Any = importlib.import_module(f"{package}.models")

    def of(self, door: Door, token: str) -> Any:
        """A client with a token, which is closed with this."""
        made = importlib.import_module(self._package).AuthenticatedClient(
            base_url=door.url, token=token, raise_on_unexpected_status=True, httpx_args={"trust_env": False}
        )
        self._open.append(made.get_httpx_client())
        return made

    def close(self) -> None:
        """Let go of all connections."""
        for connected in self._open:
            connected.close()

    def operation(self, name: str) -> Any:
        """The function that calls an operation and gives what it answers."""
        module = f"{self._package}.api.{snake(OPERATIONS[name])}.{snake(name)}"
        return importlib.import_module(module).sync


def snake(name: str) -> str:
    """A name as Python writes it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@pytest.fixture(scope="module")
def client(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("python")
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")  # it would format what it made
    options = [f"--config={config}", f"--output-path={folder / 'betting_client'}", "--meta=none", "--fail-on-warning"]
    source = f"--url={door.url}/openapi.json"
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", source, *options],
        capture_output=True,
        text=True,
        timeout=GENERATE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    with closing(Client("betting_client")) as made:
        yield made


@pytest.fixture(scope="module")
def types(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types that openapi-typescript makes, and the programs that use them."""
    folder = tmp_path_factory.mktemp("typescript")
    home = installed(TYPESCRIPT)
    for program in TYPESCRIPT.glob("*.ts"):
        shutil.copy(program, folder)
    shutil.copy(TYPESCRIPT / "package.json", folder)
    (folder / "node_modules").symlink_to(home / "node_modules")
    made = node(folder, "openapi-typescript/bin/cli.js", f"{door.url}/openapi.json", "-o", "api.ts")
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def node(folder: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that npm has brought."""
    command = [str(NODE), str(folder / "node_modules" / program), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=GENERATE_SECONDS)


def compiled(folder: Path, program: str) -> list[str]:
    """What TypeScript finds wrong with a program."""
    options = ["--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--skipLibCheck"]
    return node(folder, "typescript/bin/tsc", *options, program).stdout.splitlines()


def got(door: Door, *headers: tuple[str, str]) -> Answer:
    return ask(door.url, "/openapi.json", *headers, method="GET")


def test_the_door_gives_the_description_to_anyone(door: Door) -> None:
    answer = got(door)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == described()
    assert got(door, ("authorization", "Bearer nonsense")).body == described()


def test_every_operation_has_a_function_in_python(client: Client) -> None:
    assert len(OPERATIONS) == len(described()["paths"])
    for name in OPERATIONS:
        assert callable(client.operation(name)), name


def test_a_python_client_deposits_and_bets(door: Door, client: Client) -> None:
    models, player = client.models, client.of(door, door.signer.token("pia"))
    trader = client.of(door, door.signer.token("tina", roles=["trader"]))
    market = client.operation("openMarket")(
        "m-clients",
        client=trader,
        body=models.OpenRequest(
            name="A - B",
            selections=[models.SelectionRequest(selection_id=one, name=one, price="2.50") for one in ("home", "away")],
        ),
    )

    deposited = client.operation("deposit")(
        client=player,
        body=models.DepositRequest(
            wallet_id="w-1", user_id="pia", email="pia@example.com", amount=1_000, payment_method="creditCard"
        ),
    )
    placed = client.operation("placeBet")(
        "pia", client=player, body=bet(client, stake=400), idempotency_key="the first bet"
    )
    account = client.operation("getAccount")("pia", client=player)

    assert market.status is models.MarketStatus.OPEN
    assert (deposited.status, deposited.balance.cash) == (models.PublicDepositStatus.CREDITED, 1_000)
    assert (placed.status, placed.potential_return) == (models.PlacementStatus.ACCEPTED, 1_000)
    assert account.wallets.additional_properties["w-1"].locked == 400


def test_a_python_client_reads_why_it_is_refused(door: Door, client: Client) -> None:
    models, player, stranger = client.models, client.of(door, door.signer.token("quin")), client.of(door, "nobody's")

    no_wallet = client.operation("placeBet")("quin", client=player, body=bet(client, stake=400))
    not_theirs = client.operation("getAccount")("pia", client=player)
    no_trader = client.operation("suspendMarket")("m-clients", client=player)
    unknown = client.operation("getAccount")("quin", client=stranger)
    too_large = client.operation("rejectWithdrawal")(
        "w-1", client=player, body=models.RejectRequest(reason="x" * 70_000)
    )

    told = [(one.code, one.metadata.reason) for one in (no_wallet, not_theirs, no_trader, unknown, too_large)]
    assert told == [
        (404, models.Refusal.UNKNOWN_WALLET),
        (403, models.Refusal.NOT_YOURS),
        (403, models.Refusal.ROLE_NEEDED),
        (401, models.Refusal.UNAUTHENTICATED),
        (413, models.DoorRefusal.TOO_LARGE),
    ]


def test_every_operation_has_a_type_in_typescript(types: Path) -> None:
    text = (types / "api.ts").read_text()
    operations = text[text.index("export interface operations {") :]

    assert set(re.findall(r"^    (\w+): \{$", operations, re.MULTILINE)) == set(OPERATIONS)


def test_typescript_takes_a_right_program_and_names_each_mistake_of_a_wrong_one(types: Path) -> None:
    mistakes = [line for line in compiled(types, "wrong.ts") if not line.startswith(" ")]

    assert compiled(types, "client.ts") == []
    assert [mistake.split("(")[0] for mistake in mistakes] == ["wrong.ts"] * 3


def test_a_typescript_client_deposits_and_reads_why_it_is_refused(door: Door, types: Path) -> None:
    token = door.signer.token("rosa")

    done = subprocess.run(
        [NODE, types / "client.ts", door.url, token, "rosa"], capture_output=True, text=True, timeout=GENERATE_SECONDS
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"status": "credited", "reason": "unknown_market"}


def bet(client: Client, stake: int) -> Any:
    """A single on the market of these tests."""
    leg = client.models.LegRequest(market_id="m-clients", selection_id="home", price="2.50")
    return client.models.PlaceBetRequest(bet_id="b-1", wallet_id="w-1", stake=stake, legs=[leg])
