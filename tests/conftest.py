"""Fixtures that every test may use: real Valkey and PostgreSQL, started once a session from their wheels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.io.redis import open_redis
from tests.support import valkey
from tests.support.log import open_log
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of the session's Valkey, with whatever earlier tests left in it: see `redis_url`."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"), durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """Give the URL of the session's Valkey, empty."""
    valkey.clean(valkey_url)
    return valkey_url


@pytest_asyncio.fixture
async def empty_redis(redis_url: str) -> AsyncIterator[Redis]:
    """Give a client of an empty Redis."""
    client = open_redis(redis_url)
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def redis(empty_redis: Redis) -> Redis:
    """Give a client of a Redis that holds nothing but an open log."""
    await open_log(empty_redis)
    return empty_redis


@pytest.fixture
def private_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Give a durable Valkey of this test alone, which it may stop, kill, pause and start."""
    server = ValkeyServer(tmp_path / "valkey", durable=True)
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """Give the session's PostgreSQL, with a migrated template."""
    server = await PostgresServer.create(tmp_path_factory.mktemp("servers") / "postgres")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """Give the URL of the session's PostgreSQL for its superuser."""
    return postgres_server.superuser_url


@pytest_asyncio.fixture
async def database_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Give the URL of a freshly migrated database of this test alone."""
    async with postgres_server.new_database() as url:
        yield url


@pytest_asyncio.fixture
async def private_postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """Give a PostgreSQL of this test alone, which it may stop, kill, pause and start, with a migrated template."""
    server = await PostgresServer.create(tmp_path / "postgres")
    yield server
    server.stop()
