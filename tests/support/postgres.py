"""Real PostgreSQL for tests, from its wheel, without the waits for the disk."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from stack import folders
from stack.embedded import postgres
from stack.migrate import migrate
from stack.ports import LoopbackPorts
from tests.support.processes import RunningProgram

PASSWORD = "postgres-of-the-tests"
TEMPLATE = "muster_template"
# What is committed outlives a killed server all the same: it is with the kernel, if not on the disk.
WITHOUT_DISK = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}


class PostgresServer(RunningProgram):
    """A PostgreSQL with a folder of its own; `superuser_url` leads to its maintenance database."""

    def __init__(self, folder: Path) -> None:
        self.port = LoopbackPorts().take()
        self.superuser_url = postgres.url(self.port, PASSWORD, role=postgres.SUPERUSER, database="postgres")
        program = postgres.server(folder, self.port, folder / "postgres.log", WITHOUT_DISK)
        super().__init__(program, self._answers_queries)

    @classmethod
    async def create(cls, folder: Path) -> PostgresServer:
        """Make a cluster in a new folder, start its server, and make the template."""
        folders.make_private(folder)
        await postgres.prepare(folder, PASSWORD, durable=False)
        server = cls(folder)
        server.start()
        await server._create_template()
        return server

    def database_url(self, name: str) -> str:
        """Return the URL that a service would get for this database."""
        return postgres.url(self.port, PASSWORD, database=name)

    def _answers_queries(self) -> bool:
        asks = [str(postgres.find_programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asks, check=False).returncode == 0

    async def _create_template(self) -> None:
        """Make the database that `new_database` copies, with every migration applied."""
        await postgres.ensure_database(self.superuser_url, PASSWORD)
        await self._administer(f"CREATE DATABASE {TEMPLATE} OWNER {postgres.ROLE}")
        await migrate(self.database_url(TEMPLATE))

    @asynccontextmanager
    async def new_database(self) -> AsyncIterator[str]:
        """Give the URL of a database that nobody else uses, freshly migrated; it is dropped afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        await self._administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {postgres.ROLE}")
        try:
            yield self.database_url(name)
        finally:
            await self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.superuser_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
