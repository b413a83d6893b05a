"""A log that is open, somebody who appends to it, and identities, for the client's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.io.redis import open_redis
from tests.support.broadcaster import FakeAuthenticator, Producer
from tests.support.log import open_log


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Give a client of an empty Redis with an open log."""
    client = open_redis(redis_url)
    await open_log(client)
    yield client
    await client.aclose()


@pytest.fixture
def producer(redis: Redis) -> Producer:
    """Give somebody who appends."""
    return Producer(redis)


@pytest.fixture
def people() -> FakeAuthenticator:
    """Give the identities that a broadcaster knows."""
    return FakeAuthenticator()
