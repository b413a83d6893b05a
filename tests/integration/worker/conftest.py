"""A history of metrics that a test begins at its own time, and somebody who writes to it."""

import datetime as dt
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from shared.io.database.pool import connect, create_pool
from tests.support.metric_history import HistoryWriter, level_stands_at


@pytest_asyncio.fixture
async def pool(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Give a database whose history begins at the `START` of the module."""
    start: dt.datetime = request.module.START
    pool = await create_pool(database_url, size=4)
    await level_stands_at(pool, start)
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def writer(database_url: str) -> AsyncIterator[HistoryWriter]:
    """Give somebody who commits samples."""
    connection = await connect(database_url)
    yield HistoryWriter(connection)
    await connection.close()
