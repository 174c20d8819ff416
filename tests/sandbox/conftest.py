from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.sandbox.running import Address, sandbox


@pytest.fixture(scope="session")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Address]:
    async with sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox.db") as running:
        yield running


@pytest.fixture
async def client(address: Address) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address.url, trust_env=False) as client:
        yield client


@pytest.fixture
def reference(tmp_path: Path) -> str:
    """A reference of this test's own."""
    return tmp_path.name
