"""The same suite over fakeredis and over a real Valkey."""

from collections.abc import AsyncIterator

import fakeredis
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.io.redis import open_redis
from tests.support.log import open_log


@pytest_asyncio.fixture(params=["fakeredis", "valkey"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """Give an empty server without an open epoch."""
    if request.param == "fakeredis":
        client: Redis = fakeredis.FakeAsyncRedis(version=(7,))
    else:
        client = open_redis(request.getfixturevalue("redis_url"))
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def open_redis_log(redis: Redis) -> Redis:
    """Give an empty server whose partitions have epoch 1 open."""
    await open_log(redis)
    return redis
