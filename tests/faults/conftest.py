"""One installation for all faults: each test leaves it whole."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.installation import Installation, installed


@pytest_asyncio.fixture(scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Give a running installation without agents of its own."""
    async with installed(tmp_path_factory.mktemp("muster"), "--no-agent") as running:
        yield running
