from collections.abc import AsyncIterator

import pytest

from tests.sandbox.running import Address, sandbox


@pytest.fixture(scope="session")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Address]:
    async with sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox.db") as running:
        yield running
