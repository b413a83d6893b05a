"""Setting up a new database: once, whoever does it and however often."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from services.api.passwords import matches
from services.api.setup import Administrator, main, set_up
from shared.audit import INSTALLATION, Head
from shared.io.audit import verify
from shared.io.database.pool import connect
from shared.settings import BadSetting


@pytest_asyncio.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


def administrator(database_url: str, password: str | None = None, email: str = "admin@localhost") -> Administrator:
    return Administrator(database_url, email, "first" if password is None else password)


async def test_setup_makes_a_workspace_its_owner_and_a_key(database_url: str, connection: asyncpg.Connection) -> None:
    await set_up(administrator(database_url))
    owner = await connection.fetchrow(
        "SELECT email, role, is_admin, password_hash FROM users JOIN members ON user_id = users.id "
        "JOIN workspaces w ON w.id = workspace_id"
    )
    assert ("admin@localhost", "owner", True) == (owner["email"], owner["role"], owner["is_admin"])
    assert owner["password_hash"].startswith("$argon2id$")
    assert 32 == await connection.fetchval("SELECT length(secret) FROM signing_keys")


async def test_setup_may_run_again_and_several_times_at_once(database_url: str, connection: asyncpg.Connection) -> None:
    await asyncio.gather(*(set_up(administrator(database_url)) for _ in range(4)))
    await set_up(administrator(database_url, email="ADMIN@localhost"))
    counts = [
        await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608  (names of this list)
        for table in ("workspaces", "users", "members", "signing_keys")
    ]
    assert [1, 1, 1, 1] == counts


async def test_another_password_replaces_the_old_one_and_ends_the_sessions(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await set_up(administrator(database_url))
    await connection.execute(
        "INSERT INTO sessions (id, user_id, expires_at) SELECT 'x_1', id, now() + interval '1 day' FROM users"
    )
    await set_up(administrator(database_url))
    assert await connection.fetchval("SELECT revoked_at FROM sessions") is None
    await set_up(administrator(database_url, "second"))
    assert matches("second", await connection.fetchval("SELECT password_hash FROM users"))
    assert await connection.fetchval("SELECT revoked_at FROM sessions") is not None


async def test_the_password_may_be_left_out_once_the_administrator_exists(
    database_url: str, connection: asyncpg.Connection
) -> None:
    with pytest.raises(BadSetting, match="MUSTER_ADMIN_PASSWORD"):
        await set_up(administrator(database_url, ""))
    assert 0 == await connection.fetchval("SELECT count(*) FROM workspaces")
    await set_up(administrator(database_url))
    await set_up(administrator(database_url, ""))
    assert matches("first", await connection.fetchval("SELECT password_hash FROM users"))


async def test_what_is_set_up_is_in_the_audit_log_of_the_installation(
    database_url: str, connection: asyncpg.Connection
) -> None:
    for _ in range(2):  # the second time changes nothing
        await set_up(administrator(database_url))
    made = [
        ("created", "workspaces", await connection.fetchval("SELECT id FROM workspaces"), '{"name": "Default"}'),
        ("created", "users", user := await connection.fetchval("SELECT id FROM users"), '{"is_admin": true}'),
        ("created", "members", user),
        ("created", "signing_keys", await connection.fetchval("SELECT id FROM signing_keys"), "{}"),
    ]
    await connection.execute("UPDATE users SET is_admin = false")
    await set_up(administrator(database_url, "second"))
    made += [("updated", "users", user, '{"is_admin": true}'), ("password_changed", "users", user, "{}")]
    rows = await connection.fetch(
        "SELECT action, resource, record_id, details::text, actor, workspace_id FROM audit_log ORDER BY seq"
    )
    assert made == [tuple(row)[: len(wanted)] for row, wanted in zip(rows, made, strict=True)]
    assert {("setup at start", INSTALLATION)} == {(row["actor"], row["workspace_id"]) for row in rows}
    (end,) = [each async for each in verify(connection)]
    assert isinstance(end, tuple)
    assert isinstance(end[1], Head)
    assert (INSTALLATION, len(made)) == (end[0], end[1].seq)


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main({})
    assert "setup: DATABASE_URL is not set\n" == capsys.readouterr().err
    assert 1 == main({"DATABASE_URL": "postgresql://127.0.0.1:1/none", "MUSTER_ADMIN_PASSWORD": "secret"})
    (line,) = capsys.readouterr().err.splitlines()
    assert "the database does not answer" in line
    assert "secret" not in line
