"""A log that is open."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from redis.asyncio import Redis

from shared.io.redis import open_redis
from tests.support.log import open_log


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Give a client of an empty Redis with an open log."""
    client = open_redis(redis_url)
    await open_log(client)
    yield client
    await client.aclose()
