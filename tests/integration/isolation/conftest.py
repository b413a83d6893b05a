"""The api on real servers, for the tests of this folder."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.api import Api, running_api
from tests.support.two_workspaces import OURS, THEIRS, fill, settle


@pytest_asyncio.fixture
async def running(redis_url: str, database_url: str) -> AsyncIterator[Api]:
    """Give an api whose changes are applied."""
    async with running_api(redis_url, database_url) as api:
        yield api


@pytest_asyncio.fixture
async def api(running: Api) -> Api:
    """Give an api with both workspaces."""
    for names in (OURS, THEIRS):
        await settle(running, names)
        await fill(running, names)
    return running
