"""The broadcaster as a process of its own: real tokens, its probes, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.tokens import SigningKey, encode_token, new_claims
from stack.ports import LoopbackPorts
from tests.support.broadcaster import Producer
from tests.support.sync_client import SyncClient

KEY = SigningKey("k_1", b"1" * 32)
PEOPLE = """
    INSERT INTO workspaces (id, name) VALUES ('w_first', 'First');
    INSERT INTO users (id, email, password_hash) VALUES ('u_1', 'a@example.org', '');
    INSERT INTO members (workspace_id, user_id, role) VALUES ('w_first', 'u_1', 'viewer');
    INSERT INTO sessions (id, user_id, expires_at) VALUES ('x_1', 'u_1', now() + interval '1 day');
"""


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a database with one user, one login and one key."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(PEOPLE)
    await connection.execute("INSERT INTO signing_keys (id, secret) VALUES ($1, $2)", KEY.id, KEY.secret)
    yield connection
    await connection.close()


class Running:
    """A started process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"ws://127.0.0.1:{port}/ws"
        self._http = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> str:
        """Return the body of a successful answer; raises OSError."""

        def ask() -> str:
            with urllib.request.urlopen(self._http + path, timeout=5) as answer:  # noqa: S310  (our own server)
                return str(answer.read().decode())

        return await asyncio.to_thread(ask)

    async def until_ready(self) -> None:
        """Wait until the process says that it is ready."""
        async with asyncio.timeout(20):
            while True:
                assert self.process.returncode is None
                try:
                    await self.get("/readiness")
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    return


@asynccontextmanager
async def started(environment: Mapping[str, str]) -> AsyncIterator[Running]:
    """Start `python -m services.broadcaster`; it is ended with the block if it has not ended before."""
    port = LoopbackPorts().take()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.broadcaster",
        env={**os.environ, "PORT": str(port), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_serves_until_it_is_asked_to_stop(
    redis: Redis, producer: Producer, redis_url: str, database_url: str, database: asyncpg.Connection
) -> None:
    del redis, database  # they are there
    token = encode_token(new_claims("u_1", "x_1", datetime.now(UTC)), KEY)
    async with started({"REDIS_URL": redis_url, "DATABASE_URL": database_url}) as running:
        await running.until_ready()
        async with SyncClient(running.url, token) as client:
            await client.until(lambda state: state.epoch == "1")
            await producer.put("s_1", name="one")
            await client.until(lambda state: state.data == {"s_1": {"name": "one"}})
            assert "muster_broadcaster_connections 1.0" in await running.get("/metrics")
            running.process.send_signal(signal.SIGTERM)
            assert 0 == await asyncio.wait_for(running.process.wait(), 10)
        assert client.closes[4503] >= 1


async def test_a_login_that_is_revoked_loses_its_connections(
    redis: Redis, redis_url: str, database_url: str, database: asyncpg.Connection
) -> None:
    del redis
    token = encode_token(new_claims("u_1", "x_1", datetime.now(UTC)), KEY)
    async with started({"REDIS_URL": redis_url, "DATABASE_URL": database_url}) as running:
        await running.until_ready()
        async with SyncClient(running.url, token) as client:
            await client.until(lambda state: state.epoch == "1")
            await database.execute("UPDATE sessions SET revoked_at = now()")
            async with asyncio.timeout(10):
                while not client.closes[4401]:
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"CONFLATION_TICK": "never"}, "CONFLATION_TICK"),
        ({"ALLOWED_ORIGINS": "example.org"}, "ALLOWED_ORIGINS"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_the_end(environment: dict[str, str], complaint: str) -> None:
    complete = {"REDIS_URL": "redis://127.0.0.1:1", "DATABASE_URL": "postgres://127.0.0.1:1/x", **environment}
    async with started(complete) as running:
        _, said = await asyncio.wait_for(running.process.communicate(), 10)
    assert 2 == running.process.returncode
    assert 1 == said.decode().count("\n")
    assert complaint in said.decode()
