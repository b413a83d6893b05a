"""Socket.IO in the broadcaster's own process: real tokens, the journal of PostgreSQL, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from services.broadcaster.event_feed import Event
from services.broadcaster.journal import DatabaseJournal
from shared.io.database.pool import create_pool
from shared.names import PartitionKeys, Topic, partition_of
from tests.support.broadcaster import WORKSPACE, Producer
from tests.support.broadcaster_process import BroadcasterProcess
from tests.support.logins import create_login, fresh_token
from tests.support.socketio_client import events_of, javascript_client, python_client, until

SERVERS = Topic(WORKSPACE, "servers")

EVENT = """
    INSERT INTO ws_events (workspace_id, topic, id, record_id, event_type, payload, actor, created_at)
    VALUES ($1, 'servers', $2, 's_1', 'update', jsonb_build_object('id', 's_1', 'n', $2::bigint), 'test', now())
"""


async def keep_journal(database_url: str, *versions: int) -> None:
    """Write events of the topic into the journal, which begins after version 2."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO topics (workspace_id, resource, partition, version, journal_floor)"
        " VALUES ($1, 'servers', 0, 5, 2)",
        WORKSPACE,
    )
    await connection.executemany(EVENT, [(WORKSPACE, version) for version in versions])
    await connection.close()


@pytest.fixture
def process(redis: Redis, redis_url: str, database_url: str, tmp_path: Path) -> Iterator[BroadcasterProcess]:
    """Give a running broadcaster."""
    del redis  # its log is open
    environment = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    running = BroadcasterProcess(environment, tmp_path / "log")
    running.start()
    yield running
    running.kill()


async def ready(process: BroadcasterProcess) -> str:
    """Wait until it is ready, and return where it speaks Socket.IO."""
    async with asyncio.timeout(20):
        while not process.is_ready():
            await asyncio.sleep(0.02)
    return process.url.replace("ws:", "http:").removesuffix("/ws")


async def test_the_journal_gives_what_follows_a_version_that_it_reaches(database_url: str) -> None:
    await keep_journal(database_url, 1, 2, 3, 4, 5)
    pool = await create_pool(database_url)
    journal = DatabaseJournal(pool)
    found = await journal.events(SERVERS, 2, 4)
    assert [(3, "update"), (4, "update")] == [(event.version, event.type) for event in found]
    assert Event(3, "update", b'{"n": 3, "id": "s_1"}') == found[0]
    assert [] == await journal.events(SERVERS, 1, 5)
    assert [] == await journal.events(Topic(WORKSPACE, "websites"), 2, 5)
    assert [] == await journal.events(Topic("w_other", "servers"), 2, 5)
    await pool.close()


async def test_a_journal_that_does_not_answer_holds_nothing(database_url: str) -> None:
    pool = await create_pool(database_url)
    await pool.close()
    assert [] == await DatabaseJournal(pool).events(SERVERS, 0, 5)


async def test_what_a_restarted_process_does_not_remember_is_in_the_journal(
    process: BroadcasterProcess, redis: Redis, producer: Producer, database_url: str
) -> None:
    await create_login(database_url, [WORKSPACE])
    await keep_journal(database_url, 3, 4, 5)
    for number in range(1, 6):
        await producer.put("s_1", n=number)
    await redis.xtrim(PartitionKeys(partition_of(WORKSPACE)).log, maxlen=0)
    url = await ready(process)
    async with javascript_client(url, {"token": await fresh_token()}) as client:
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 2})
        answers = await events_of(client, 3)
        assert [(3, 3), (4, 4), (5, 5)] == [(argument["eventId"], argument["data"]["n"]) for _, argument in answers]
        await client.emit("request:servers", {"lastEventId": 1})
        assert 5 == (await until(client, "servers:initial"))["version"]


async def test_it_ends_in_time_with_clients_of_every_transport(process: BroadcasterProcess, database_url: str) -> None:
    await create_login(database_url, [WORKSPACE])
    url, auth = await ready(process), {"token": await fresh_token()}
    async with (
        python_client(url, auth, transport="polling") as polling,
        python_client(url, auth) as websocket,
        javascript_client(url, auth, transport="polling,websocket") as both,
    ):
        for client in (polling, websocket, both):
            await until(client, "connected")
            await client.emit("request:servers")
            await until(client, "servers:initial")
        began = time.monotonic()
        assert process._process is not None
        process._process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.to_thread(process._process.wait, 10)
        assert time.monotonic() - began < 3
        assert "transport close" == await until(both, "disconnect")
    said = process.log.read_text()
    assert "stopped" in said
    for word in ("Traceback", "never retrieved", "destroyed", "did not"):
        assert word not in said


async def test_a_revoked_login_is_told_and_ended(process: BroadcasterProcess, database_url: str) -> None:
    await create_login(database_url, [WORKSPACE])
    url = await ready(process)
    async with javascript_client(url, {"token": await fresh_token()}) as client:
        await until(client, "connected")
        connection = await asyncpg.connect(database_url)
        await connection.execute("UPDATE sessions SET revoked_at = now()")
        await connection.close()
        assert "unauthenticated" == (await until(client, "error"))["code"]
        await until(client, "disconnect")
