"""Somebody who appends to an open log, and identities, for the tests of the broadcaster and of what follows it."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.support.broadcaster import FakeAuthenticator, Producer


@pytest.fixture
def producer(redis: Redis) -> Producer:
    """Give somebody who appends."""
    return Producer(redis)


@pytest.fixture
def people() -> FakeAuthenticator:
    """Give the identities that a broadcaster knows."""
    return FakeAuthenticator()
