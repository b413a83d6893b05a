"""Each change of a journalled resource has one event, written with what it says, whatever becomes of others."""

import contextlib
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.database.pool import connect
from shared.names import Topic, partition_of
from shared.operation import Appended, Draft, Operation
from tests.support.applier import checkpoint, running_appliers, until
from tests.support.log import recent

WEBSITES = Topic("w_test", "websites")
PARTITION = partition_of("w_test")

Event = tuple[int, str, str, str]


@pytest.fixture
def redis(empty_redis: Redis) -> Redis:
    return empty_redis


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


def website(domain: str, **fields: object) -> bytes:
    defaults = {"domains": [], "cname": "", "line_group_id": "", "line_group": "", "https_enabled": True}
    return json.dumps({"primary_domain": domain, **defaults, "status": "active", **fields}).encode()


def put(record_id: str, data: bytes) -> Draft:
    return Draft(id=record_id, action="put", data=data)


def operation(*drafts: Draft, actor: str = "u_1", op: str = "") -> Operation:
    return Operation(topic=WEBSITES, drafts=drafts, actor=actor, id=op)


async def applied(database: asyncpg.Connection, result: Appended) -> None:
    async def is_applied() -> bool:
        return await checkpoint(database, PARTITION) == str(result.position)

    await until(is_applied)


async def compensated(database: asyncpg.Connection) -> bool:
    pending = await database.fetch("SELECT compensated_at IS NULL AS pending FROM dead_letters")
    return bool(pending) and not any(row["pending"] for row in pending)


async def events(database: asyncpg.Connection) -> list[Event]:
    rows = await database.fetch("SELECT id, event_type, record_id, actor FROM ws_events ORDER BY id")
    return [tuple(row) for row in rows]


async def test_events_say_what_the_log_says(redis: Redis, database: asyncpg.Connection, database_url: str) -> None:
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(operation(put("ws_1", website("a.example")), put("ws_1", website("b.example"))))
        await applied(database, await changes.append(operation(Draft(id="ws_1", action="delete"), actor="u_2")))
    expected = [(1, "add", "ws_1", "u_1"), (2, "update", "ws_1", "u_1"), (3, "delete", "ws_1", "u_2")]
    assert expected == await events(database)
    rows = await database.fetch("SELECT payload, created_at FROM ws_events ORDER BY id")
    second = {"id": "ws_1", "website_id": "ws_1", "version": 2, **json.loads(website("b.example"))}
    assert second == json.loads(rows[1]["payload"])
    entries = await recent(redis, WEBSITES, entries=10)
    at_ms = [entry.at_ms for entry in entries for _ in entry.changes]
    assert at_ms == [round(row["created_at"].timestamp() * 1000) for row in rows]


async def test_a_change_that_was_put_aside_has_no_event_but_its_compensation_has(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await applied(database, await changes.append(operation(put("ws_1", website("a.example")))))
        poison = operation(
            put("ws_1", website("a.example", status="\0")),
            put("ws_2", website("b.example")),
            put("ws_3", website("c.example", cname="\0")),
        )
        await changes.append(poison)
        await until(lambda: compensated(database))
        await applied(database, await changes.append(operation(put("ws_4", website("d.example")))))
    expected = [
        (1, "add", "ws_1", "u_1"),
        (3, "add", "ws_2", "u_1"),
        (5, "update", "ws_1", "worker"),
        (6, "delete", "ws_3", "worker"),
        (7, "add", "ws_4", "u_1"),
    ]
    assert expected == await events(database)


async def test_an_operation_that_was_put_aside_has_no_events(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        bulk = operation(put("ws_1", website("a.example")), put("ws_2", website("b.example", cname="\0")), op="op-bulk")
        await changes.append(bulk)
        await until(lambda: compensated(database))
        await applied(database, await changes.append(operation(put("ws_3", website("c.example")))))
    assert [(3, "delete"), (4, "delete"), (5, "add")] == [event[:2] for event in await events(database)]


async def test_every_change_has_its_event_once_although_appliers_and_redis_come_and_go(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    for round_ in range(4):
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(running_appliers(redis, database_url))
            for number in range(10):
                op = f"op-{round_}-{number}"
                last = await changes.append(operation(put(f"ws_{number}", website(f"{op}.example")), op=op))
                if number in {3, 6}:
                    await database.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
            await applied(database, last)
            if round_ == 1:
                await redis.flushall()
                await changes.append(operation(put("ws_9", website("again.example")), op="op-1-9"))
    version = (await LogReader(redis).snapshot(WEBSITES)).version
    assert list(range(1, version + 1)) == [event[0] for event in await events(database)]
    assert 40 == version
