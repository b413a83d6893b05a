"""Starts the PostgreSQL of a data folder, with the database of Muster in it."""

from __future__ import annotations

from stack import probes
from stack.embedded import postgres
from stack.folders import kept_secret
from stack.layout import DataFolder
from stack.supervisor import Supervisor

# A log that has grown for months is read again at the start.
SERVER_START_WITHIN_S = 300.0


async def start_postgres(supervisor: Supervisor, folder: DataFolder, port: int) -> str:
    """Start the server, made if need be; return the URL of its database. Raises `StackError`."""
    place = folder.server("postgres")
    superuser_password, password = kept_secret(place / "superuser-password"), kept_secret(place / "password")
    superuser_url = postgres.url(port, superuser_password, role=postgres.SUPERUSER, database="postgres")
    await postgres.prepare(place, superuser_password)
    program = postgres.server(place, port, folder.log("postgres"))
    await supervisor.start(program, probes.answers_postgres(superuser_url), SERVER_START_WITHIN_S)
    await postgres.ensure_database(superuser_url, password)
    return postgres.url(port, password)
