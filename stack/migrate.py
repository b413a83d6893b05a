"""Brings a database to the newest schema with dbmate, one migration at a time and by one caller at a time.

Run as `python -m stack.migrate` (reads `DATABASE_URL`) where there is no `muster up`, as in containers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from shared.io import database
from stack.errors import StackError
from stack.program import Program, run_to_end

MIGRATIONS = Path(database.__file__).parent / "migrations"

# dbmate itself takes no lock; any number works as long as nothing else in the database uses it
MIGRATION_LOCK = 0x6D7573746572


def with_tls_mode(url: str, *, encrypted: bool) -> str:
    """Return the URL with an explicit `sslmode`, unless it has one.

    dbmate's driver insists on TLS where asyncpg uses what the server offers, so it is told what asyncpg found.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.setdefault("sslmode", "require" if encrypted else "disable")
    return urlunsplit(parts._replace(query=urlencode(query)))


def command() -> list[str]:
    """Return the command line of dbmate; it takes the URL from `DATABASE_URL`, so that no password is in it."""
    program = Path(sysconfig.get_path("scripts")) / "dbmate"
    return [str(program), "--migrations-dir", str(MIGRATIONS), "--no-dump-schema", "migrate"]


async def migrate(url: str, *, timeout_s: float = 120.0) -> None:
    """Apply the migrations that the database lacks. Raises `StackError` with what dbmate said when one fails."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(timeout_s):
            await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
            encrypted = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            await _run_dbmate(with_tls_mode(url, encrypted=bool(encrypted)))
    except TimeoutError:
        raise StackError(f"the database could not be migrated within {timeout_s:.0f} s") from None
    finally:
        await connection.close()


async def _run_dbmate(url: str) -> None:
    if not any(MIGRATIONS.glob("*.sql")):
        return
    program = Program(name="dbmate", role="dbmate", argv=command(), environment={**os.environ, "DATABASE_URL": url})
    status, said = await run_to_end(program)
    if status != 0:
        raise StackError(f"the database could not be migrated: {said or f'dbmate exited with {status}'}")


def main() -> int:
    """Migrate the database that `DATABASE_URL` names; return the exit status."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        print("DATABASE_URL is not set", file=sys.stderr)
        return 1
    try:
        asyncio.run(migrate(url))
    except (OSError, asyncpg.PostgresError, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
