"""The schema of a database as text, and the committed one: `python -m tests.support.schema` writes it anew."""

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from shared.io import database
from stack.embedded import postgres
from tests.support.postgres import PostgresServer

SCHEMA = Path(database.__file__).parent / "schema.sql"
"""What all migrations together make of an empty database; for reading, and to see what a migration changes."""

# what differs from run to run, or says who dumped it
_NOISE = re.compile(r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config.*)\n", re.MULTILINE)


def dump(database_url: str) -> str:
    """Return the schema of this database, without comments and settings, and without dbmate's own table."""
    password = urlsplit(database_url).password or ""
    command = [str(postgres.find_programs() / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges"]
    command += ["--exclude-table=schema_migrations", database_url]
    dumped = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"PGPASSWORD": password}
    )
    return re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", dumped.stdout)).strip() + "\n"


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = await PostgresServer.create(Path(folder) / "postgres")
        try:
            async with server.new_database() as url:
                SCHEMA.write_text(dump(url), encoding="utf-8")
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(_write())
