"""The database as one file: written by pg_dump while the server runs, read by pg_restore into a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from stack.embedded.postgres import find_programs
from stack.errors import StackError
from stack.program import Program, plain_environment, run_to_end


async def dump(database_url: str, file: Path) -> None:
    """Write the whole database to a file, as it is at one moment; nobody has to wait for that. Raises `StackError`."""
    options = ("--format=custom", "--no-owner", "--no-privileges", f"--file={file}")
    await _run("pg_dump", options, database_url, "the database cannot be read")


async def load(database_url: str, file: Path) -> None:
    """Fill an empty database from a file, wholly or not at all; raises `StackError`."""
    options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(file))
    await _run("pg_restore", options, database_url, "the database cannot be restored")


async def _run(name: str, options: Sequence[str], database_url: str, what: str) -> None:
    address, environment = split_password(database_url)
    program = Program(
        name=name,
        role=name,
        argv=(str(find_programs() / name), f"--dbname={address}", "--no-password", *options),
        environment={**plain_environment(), **environment},
    )
    status, said = await run_to_end(program)
    if status != 0:
        raise StackError(f"{what}: {said or f'{name} ended with {status}'}")


def split_password(database_url: str) -> tuple[str, Mapping[str, str]]:
    """Return the URL without its password, which others could see in the list of processes, and where that goes."""
    parts = urlsplit(database_url)
    user, at, host = parts.netloc.rpartition("@")
    name, has_password, password = user.partition(":")
    address = urlunsplit(parts._replace(netloc=f"{name}{at}{host}"))
    return address, {"PGPASSWORD": unquote(password)} if has_password else {}
