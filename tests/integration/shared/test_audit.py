"""The audit log in PostgreSQL: only added to, in one line however many write, and checked to the last entry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio

from shared.audit import INSTALLATION, Event, Head, Origin
from shared.io.audit import Break, record, record_account, verify
from shared.io.database.pool import create_pool

ORIGIN = Origin("192.0.2.1", "r-1")


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url)
    yield pool
    await pool.close()


def event(record_id: str, workspace_id: str = "w_1") -> Event:
    return Event(
        workspace_id=workspace_id,
        at=datetime.now(UTC),
        actor="u_1",
        action="updated",
        resource="tags",
        record_id=record_id,
        version=4,
        origin=ORIGIN,
        details={"text": 'a"\\ü\x7f', "number": 2**60, "flag": True, "nothing": None, "list": ["b", "a"]},
    )


async def write(pool: asyncpg.Pool, *events: Event) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await record(connection, events)


async def verified(pool: asyncpg.Pool) -> list[tuple[str, Head] | Break]:
    async with pool.acquire() as connection:
        return [found async for found in verify(connection)]


async def untriggered(pool: asyncpg.Pool, statement: str) -> None:
    """Do what an administrator of the database could do, and nobody should."""
    async with pool.acquire() as connection, connection.transaction():
        for table in ("audit_log", "audit_heads"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        await connection.execute(statement)
        for table in ("audit_log", "audit_heads"):
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def test_a_log_without_entries_holds(pool: asyncpg.Pool) -> None:
    assert [] == await verified(pool)


async def test_what_was_written_holds_as_postgresql_gives_it_back(pool: asyncpg.Pool) -> None:
    await write(pool, event("t_1"), event("t_2"), event("z", "w_2"))
    await write(pool, event("t_3"))
    heads = {row["workspace_id"]: Head(row["seq"], row["hash"]) for row in await pool.fetch("TABLE audit_heads")}
    assert {"w_1": 3, "w_2": 1} == {name: head.seq for name, head in heads.items()}
    assert sorted(heads.items()) == await verified(pool)


async def test_writers_at_once_make_one_chain(pool: asyncpg.Pool) -> None:
    await asyncio.gather(
        *(write(pool, event(f"{n}", "w_1"), event(f"{n}", "w_2")) for n in range(20)),
        *(write(pool, event(f"{n}", "w_2"), event(f"{n}", "w_1")) for n in range(20)),
    )
    assert [("w_1", 40), ("w_2", 40)] == [
        (found[0], found[1].seq) for found in await verified(pool) if isinstance(found, tuple)
    ]


async def test_nothing_is_left_of_a_transaction_that_failed(pool: asyncpg.Pool) -> None:
    await write(pool, event("t_1"))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, [event("t_2")])
        await transaction.rollback()
    await write(pool, event("t_3"))
    assert ["t_1", "t_3"] == [row["record_id"] for row in await pool.fetch("TABLE audit_log ORDER BY seq")]
    assert all(isinstance(found, tuple) for found in await verified(pool))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'u_2'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE false",
        "TRUNCATE audit_log",
        "DELETE FROM audit_heads",
        "TRUNCATE audit_heads",
        "UPDATE audit_heads SET seq = seq - 1",
        "UPDATE audit_heads SET hash = '\\x00'",
        "UPDATE audit_heads SET workspace_id = 'w_9', seq = seq + 1",
    ],
)
async def test_the_log_is_only_added_to(pool: asyncpg.Pool, statement: str) -> None:
    await write(pool, event("t_1"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only added to"):
        await pool.execute(statement)


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE audit_log SET actor = 'u_2' WHERE workspace_id = 'w_1' AND seq = 2", 2, "not what was recorded"),
        ("UPDATE audit_log SET details = '{}' WHERE workspace_id = 'w_1' AND seq = 1", 1, "not what was recorded"),
        ("DELETE FROM audit_log WHERE workspace_id = 'w_1' AND seq = 2", 3, "entry 2 is missing"),
        ("DELETE FROM audit_log WHERE workspace_id = 'w_1' AND seq = 3", 3, "entries up to 3 were recorded"),
        ("DELETE FROM audit_log WHERE workspace_id = 'w_1'", 1, "entries up to 3 were recorded"),
        ("DELETE FROM audit_heads WHERE workspace_id = 'w_1'", 4, "recorded up to entry 0 only"),
    ],
)
async def test_whoever_gets_around_that_is_found_out(pool: asyncpg.Pool, statement: str, seq: int, reason: str) -> None:
    await write(pool, *(event(f"t_{number}") for number in range(3)), event("z", "w_2"))
    await untriggered(pool, statement)
    broken, other = await verified(pool)
    assert isinstance(broken, Break)
    assert ("w_1", seq) == (broken.workspace_id, broken.seq)
    assert reason in broken.reason
    assert not isinstance(other, Break)


async def test_what_happens_to_an_account_stands_in_each_of_its_workspaces(pool: asyncpg.Pool) -> None:
    await pool.execute("INSERT INTO workspaces (id, name) VALUES ('w_1', ''), ('w_2', '')")
    await pool.execute("INSERT INTO users (id, email, password_hash) VALUES ('u_1', 'a', ''), ('u_2', 'b', '')")
    await pool.execute("INSERT INTO members VALUES ('w_1', 'u_1', 'owner'), ('w_2', 'u_1', 'viewer')")
    async with pool.acquire() as connection, connection.transaction():
        await record_account(connection, "logged_in", user_id="u_1", origin=ORIGIN)
        await record_account(connection, "logged_in", user_id="u_2", origin=ORIGIN)
        await record_account(connection, "login_failed", user_id="", origin=ORIGIN, details={"reason": "unknown_user"})
    rows = await pool.fetch("SELECT workspace_id, actor, action FROM audit_log ORDER BY workspace_id, seq")
    assert [
        (INSTALLATION, "u_2", "logged_in"),
        (INSTALLATION, "", "login_failed"),
        ("w_1", "u_1", "logged_in"),
        ("w_2", "u_1", "logged_in"),
    ] == [tuple(row) for row in rows]
