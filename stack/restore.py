"""An installation from the file of a backup, in a data folder of its own: `muster restore`."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from shared.io.database.queries import queries
from shared.names import PARTITIONS
from stack import archive, dump
from stack.backup import DATABASE, FOLDER
from stack.database import start_postgres
from stack.errors import StackError
from stack.folders import make_private
from stack.layout import DataFolder, occupied
from stack.migrate import MIGRATIONS
from stack.ports import LoopbackPorts
from stack.supervisor import Stage, Supervisor
from stack.terminal import Terminal

_DUMP = ".restored.dump"
_STOP_ORDER = (Stage(("postgres",), patience_s=10.0),)


async def restore(file: Path, data_dir: Path, environ: Mapping[str, str], terminal: Terminal) -> None:
    """Make the installation of a backup in a folder that holds nothing; raises `StackError`, and leaves nothing then.

    The file is checked before anything is touched. The installation is ready to be started afterwards.
    """
    if environ.get("DATABASE_URL"):
        raise StackError("DATABASE_URL is set, but a backup is restored into a PostgreSQL of the data folder's own")
    with terminal.step("backup", "checked"):
        manifest = archive.check(file)
        _require_known(file, manifest)
    _require_nothing_in(data_dir)
    os.umask(0o077)
    with occupied(data_dir) as folder:
        try:
            await _fill(file, manifest, folder, terminal)
        except BaseException:
            _empty(folder.path)
            raise
    terminal.say(f"{folder.path} holds the installation as it was at {manifest.made_at}")
    terminal.say(f"Start it with muster up --data-dir {data_dir}")


def _require_known(file: Path, manifest: archive.Manifest) -> None:
    if DATABASE not in {member.name for member in manifest.members}:
        raise StackError(f"{file} has no database")
    known = {path.name.partition("_")[0] for path in MIGRATIONS.glob("*.sql")}
    unknown = sorted(set(manifest.migrations) - known)
    if unknown:
        raise StackError(f"{file} was made by a newer Muster ({manifest.muster}): this one does not know {unknown[-1]}")


def _require_nothing_in(data_dir: Path) -> None:
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise StackError(f"{data_dir} is not empty: a backup is restored into a new folder")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


async def _fill(file: Path, manifest: archive.Manifest, folder: DataFolder, terminal: Terminal) -> None:
    destinations = {DATABASE: folder.path / _DUMP}
    for member in manifest.members:
        if member.name.startswith(FOLDER):
            destination = folder.path / member.name.removeprefix(FOLDER)
            make_private(destination.parent)
            destinations[member.name] = destination
    try:
        archive.unpack(file, destinations)
    except OSError as error:
        raise StackError(f"cannot write in {folder.path}: {error.strerror or error}") from error
    failure = await _fill_database(destinations[DATABASE], folder, terminal)
    if failure is not None:
        raise failure
    destinations[DATABASE].unlink()


async def _fill_database(file: Path, folder: DataFolder, terminal: Terminal) -> StackError | None:
    """Return why it could not be done, or nothing; a programming error is raised."""
    async with asyncio.TaskGroup() as tasks:
        supervisor = Supervisor(tasks, terminal.say, lambda _: None)
        try:
            with terminal.step("PostgreSQL"):
                url = await start_postgres(supervisor, folder, LoopbackPorts().take())
            with terminal.step("database", "restored"):
                await dump.load(url, file)
                await _leave_epochs_behind(url)
        except StackError as error:
            return error
        finally:
            await supervisor.stop(_STOP_ORDER)
    return None


async def _leave_epochs_behind(url: str) -> None:
    """Let the log begin in an epoch that no client has seen, although the old installation may have gone on since.

    It counted its epochs one by one, so that the time in seconds is beyond all of them, and beyond those of whatever
    was restored from the same file before.
    """
    connection = await asyncpg.connect(url)
    try:
        await queries("checkpoints").leave_epochs_behind(connection, epoch=int(time.time()), partitions=PARTITIONS)
    finally:
        await connection.close()
