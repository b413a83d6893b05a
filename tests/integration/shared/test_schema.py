"""The migrations and the committed schema say the same."""

import asyncio

import asyncpg

from shared.io.database.aggregation import COLUMNS
from shared.levels import ROLLUPS
from shared.resources import RESOURCES
from stack.migrate import MIGRATIONS
from tests.support.postgres import PostgresServer
from tests.support.schema import SCHEMA, dump


async def test_migrating_equals_the_committed_schema(database_url: str) -> None:
    assert SCHEMA.read_text() == await asyncio.to_thread(dump, database_url), "make schema writes it anew"


async def test_fresh_schema_equals_migrating(postgres_server: PostgresServer, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA public CASCADE")
    await connection.execute("CREATE SCHEMA public; COMMENT ON SCHEMA public IS 'standard public schema'")
    await connection.execute(SCHEMA.read_text())
    await connection.close()
    async with postgres_server.new_database() as migrated:
        assert await asyncio.to_thread(dump, migrated) == await asyncio.to_thread(dump, database_url)


async def test_each_resource_has_a_table_with_its_fields(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    for resource in RESOURCES.values():
        rows = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = ('public', $1)",
            resource.name,
        )
        assert {"workspace_id", "id", "version", *resource.columns, *resource.beside} == {
            row["column_name"] for row in rows
        }
    await connection.close()


async def test_what_a_migration_does_it_can_undo(postgres_server: PostgresServer, database_url: str) -> None:
    parts = [path.read_text().split("-- migrate:down") for path in sorted(MIGRATIONS.glob("*.sql"))]
    connection = await asyncpg.connect(database_url)
    for _, down in reversed(parts):
        await connection.execute(down)
    assert ["schema_migrations"] == [
        row["tablename"]
        for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    for up, _ in parts:
        await connection.execute(up)
    await connection.close()
    async with postgres_server.new_database() as migrated:
        assert await asyncio.to_thread(dump, migrated) == await asyncio.to_thread(dump, database_url)


async def test_the_first_user_becomes_an_administrator(database_url: str) -> None:
    up, down = (MIGRATIONS / "20261124000002_accounts.sql").read_text().split("-- migrate:down")
    connection = await asyncpg.connect(database_url)
    await connection.execute(down)
    await connection.execute(
        "INSERT INTO users (id, email, password_hash, created_at) "
        "VALUES ('u_2', 'b@example.org', '', now()), ('u_1', 'a@example.org', '', now() - interval '1 day')"
    )
    await connection.execute(up)
    assert ["u_1"] == [row["id"] for row in await connection.fetch("SELECT id FROM users WHERE is_admin")]
    await connection.close()


async def test_each_level_has_a_table_with_the_columns_of_a_rollup(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    for level in ROLLUPS:
        rows = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = ('public', $1)",
            level.table,
        )
        assert set(COLUMNS) == {row["column_name"] for row in rows}
    await connection.close()


async def test_samples_that_were_there_before_they_had_a_workspace_get_that_of_their_server(database_url: str) -> None:
    up, down = (MIGRATIONS / "20261125000002_metrics_rollups.sql").read_text().split("-- migrate:down")
    connection = await asyncpg.connect(database_url)
    await connection.execute(down)
    servers = (
        "INSERT INTO servers "
        "SELECT $1, $2, 1, '', '', '', '', NULL, '{}', '{}', '', false, 0, '{}', '', '', NULL, '', '', NULL, NULL"
    )
    for workspace_id, server_id in (("w_1", "s_1"), ("w_1", "s_2"), ("w_2", "s_2")):
        await connection.execute(servers, workspace_id, server_id)
    for server_id in ("s_1", "s_2", "s_gone"):
        await connection.execute("INSERT INTO metrics_history (server_id, ts) VALUES ($1, now())", server_id)
    await connection.execute("INSERT INTO metrics_history (server_id, ts) VALUES ('s_1', '1999-01-01')")
    await connection.execute(up)
    rows = await connection.fetch("SELECT DISTINCT server_id, workspace_id FROM metrics_history ORDER BY 1")
    assert [("s_1", "w_1"), ("s_2", ""), ("s_gone", "")] == [tuple(row) for row in rows]
    late = await connection.fetch("SELECT workspace_id, server_id FROM metrics_late")
    assert [("w_1", "s_1")] == [tuple(row) for row in late]
    await connection.close()
