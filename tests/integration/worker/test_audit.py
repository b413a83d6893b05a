"""What people do is in the audit log once it is in PostgreSQL, exactly once, whatever dies on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from services.worker import commit
from shared.audit import Event, Origin
from shared.errors import NotFound
from shared.io import audit
from shared.io.changelog.append import ChangeLog
from shared.io.database.pool import connect
from shared.names import Topic, partition_of
from shared.operation import Appended, Draft, Operation
from shared.position import Position
from tests.support.applier import checkpoint, running_appliers, until

TAGS = Topic("w_test", "tags")
PARTITION = partition_of("w_test")
DATA = b'{"name":"a","color":"","position":0}'
GONE = Draft(id="gone", action="delete")
AT = datetime(2026, 11, 24, tzinfo=UTC)


def edit(number: int, *, origin: Origin | None) -> Operation:
    draft = Draft(id=f"t_{number}", action="put", data=DATA)
    return Operation(topic=TAGS, drafts=(draft,), actor="u_1", id=f"o_{number}", origin=origin)


@pytest.fixture
def redis(empty_redis: Redis) -> Redis:
    return empty_redis


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def applied(database: asyncpg.Connection, result: Appended) -> None:
    async def is_applied() -> bool:
        return await checkpoint(database, PARTITION) == str(result.position)

    await until(is_applied)


async def applied_at_least(database: asyncpg.Connection, result: Appended) -> None:
    async def is_applied() -> bool:
        assert result.position is not None
        return Position.parse(await checkpoint(database, PARTITION)) >= result.position

    await until(is_applied)


async def audited(database: asyncpg.Connection) -> list[tuple[object, ...]]:
    rows = await database.fetch(
        "SELECT actor, action, resource, record_id, version, origin, request_id FROM audit_log "
        "WHERE workspace_id = 'w_test' ORDER BY seq"
    )
    return [tuple(row) for row in rows]


async def is_whole(database: asyncpg.Connection) -> bool:
    return all([not isinstance(found, audit.Break) async for found in audit.verify(database)])


async def test_each_change_that_a_person_asked_for_is_recorded(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    origin = Origin("2001:db8::1", "r-9")
    drafts = (Draft(id="t_1", action="delete"), Draft(id="t_3", action="create", data=DATA))
    both = Operation(topic=TAGS, actor="u_2", id="o_both", origin=origin, drafts=drafts)
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(edit(1, origin=Origin("192.0.2.1", "r-1")))
        await changes.append(edit(2, origin=None))
        with pytest.raises(NotFound):
            await changes.append(Operation(topic=TAGS, actor="u_2", id="o_x", origin=origin, drafts=(GONE,)))
        assert (await changes.append(edit(1, origin=origin))).repeated
        await applied(database, await changes.append(both))
    expected = [
        ("u_1", "created", "tags", "t_1", 1, "192.0.2.1", "r-1"),
        ("u_2", "deleted", "tags", "t_1", 3, "2001:db8::1", "r-9"),
        ("u_2", "created", "tags", "t_3", 4, "2001:db8::1", "r-9"),
    ]
    assert expected == await audited(database)
    assert await is_whole(database)


async def test_an_operation_that_could_not_be_stored_was_not_done(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    origin = Origin("192.0.2.1", "r-1")
    poison = Draft(id="t_8", action="put", data=b'{"name":"8"}')
    drafts = (Draft(id="t_7", action="put", data=DATA), poison)
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(Operation(topic=TAGS, actor="u_1", id="o_bad", origin=origin, drafts=drafts))
        await applied_at_least(database, await changes.append(edit(1, origin=origin)))
    assert ["t_1"] == [row[3] for row in await audited(database)]


async def test_an_applier_that_dies_before_its_commit_records_nothing_twice(
    redis: Redis, database: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = 0

    async def record_and_die(connection: asyncpg.Connection, events: list[Event]) -> None:
        nonlocal deaths
        await audit.record(connection, events)
        if deaths < 3:
            deaths += 1
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(commit, "record", record_and_die)
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        results = [await changes.append(edit(n, origin=Origin("192.0.2.1", f"r-{n}"))) for n in range(10)]
        await applied(database, results[-1])
    assert 3 == deaths
    assert [f"t_{n}" for n in range(10)] == [row[3] for row in await audited(database)]
    assert 10 == await database.fetchval("SELECT count(*) FROM tags")
    assert await is_whole(database)


async def test_people_and_the_applier_share_a_chain(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    async def log_in(number: int) -> None:
        connection = await connect(database_url)
        async with connection.transaction():
            event = Event(
                workspace_id="w_test", at=AT, actor="u_1", action="logged_in", origin=Origin("192.0.2.1", f"l-{number}")
            )
            await audit.record(connection, [event])
        await connection.close()

    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        appending = [changes.append(edit(n, origin=Origin("192.0.2.1", f"r-{n}"))) for n in range(30)]
        results, _ = await asyncio.gather(asyncio.gather(*appending), asyncio.gather(*map(log_in, range(10))))
        await applied(database, max(results, key=lambda result: result.version))
    assert 40 == len(await audited(database))
    assert await is_whole(database)
