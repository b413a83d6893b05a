"""The api on real servers, for the tests of this folder."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.api import Api, running_api
from tests.support.log import open_log


@pytest_asyncio.fixture
async def api(redis_url: str, database_url: str) -> AsyncIterator[Api]:
    """Give an api whose changes are applied."""
    async with running_api(redis_url, database_url) as api:
        yield api


@pytest_asyncio.fixture
async def sealed_api(redis_url: str, database_url: str) -> AsyncIterator[Api]:
    """Give an api whose log nobody has opened."""
    async with running_api(redis_url, database_url, appliers=False) as api:
        yield api


@pytest_asyncio.fixture
async def unapplied_api(redis_url: str, database_url: str) -> AsyncIterator[Api]:
    """Give an api that waits shortly for commits, which do not come: its log is open, but nobody applies it."""
    async with running_api(redis_url, database_url, appliers=False, wait_timeout_s=0.05) as api:
        await open_log(api.redis)
        yield api
