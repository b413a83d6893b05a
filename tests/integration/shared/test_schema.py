"""The migrations and the committed schema say the same."""

import asyncio

import asyncpg

from shared.resources import RESOURCES
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
        assert {"workspace_id", "id", "version", *resource.columns} == {row["column_name"] for row in rows}
    await connection.close()
