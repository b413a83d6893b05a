"""A whole installation into one file, while it runs: `muster backup`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import asyncpg

from stack import archive, dump
from stack.errors import StackError
from stack.layout import DataFolder
from stack.running import database_url
from stack.terminal import Terminal

DATABASE = "database.dump"
FOLDER = "folder/"

LEFT_OUT = frozenset({"agents", "postgres", "valkey", "logs", "lock", "ready.json"})
"""What of a data folder is not kept: PostgreSQL is dumped, Valkey and agents are made anew, the rest is of one run."""


async def backup(file: Path, data_dir: Path, environ: Mapping[str, str], terminal: Terminal) -> None:
    """Write the backup of the installation in a data folder, whose servers must run; both paths are absolute.

    Raises `StackError`.
    """
    folder = DataFolder(data_dir)
    if folder.path in file.parents:
        raise StackError(f"{file} is in the data folder itself: a backup belongs somewhere else")
    url = database_url(data_dir, environ)
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as name:
            manifest = await _write(file, folder, url, Path(name))
    except OSError as error:
        raise StackError(f"{file} cannot be written: {error.strerror or error}") from error
    size = sum(member.size_bytes for member in manifest.members)
    terminal.say(f"{file} holds the database and {len(manifest.members) - 1} files, {size / 1e6:.1f} MB")


async def _write(file: Path, folder: DataFolder, url: str, scratch: Path) -> archive.Manifest:
    migrations = await _migrations(url)
    files = {DATABASE: scratch / DATABASE}
    await dump.dump(url, files[DATABASE])
    # copies, because the originals may change between being counted and being packed
    for number, path in enumerate(_kept(folder.path)):
        copy = scratch / f"copy-{number}"
        try:
            shutil.copyfile(path, copy)
        except FileNotFoundError:  # replaced at this moment by its successor, which is read under its own name
            continue
        files[FOLDER + path.relative_to(folder.path).as_posix()] = copy
    manifest = archive.Manifest(
        format=archive.FORMAT,
        muster=metadata.version("muster"),
        made_at=datetime.now(UTC).isoformat(),
        migrations=migrations,
        members=tuple(archive.member_of(name, path) for name, path in files.items()),
    )
    archive.pack(file, manifest, files, scratch)
    return manifest


def _kept(folder: Path) -> Iterator[Path]:
    """Yield the files of a data folder that a backup keeps."""
    for path in sorted(folder.rglob("*")):
        if path.relative_to(folder).parts[0] not in LEFT_OUT and path.is_file() and not path.is_symlink():
            yield path


async def _migrations(url: str) -> tuple[str, ...]:
    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            rows = await connection.fetch("SELECT version FROM schema_migrations ORDER BY version")
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StackError(f"the database cannot be read: {error}") from error
    return tuple(row["version"] for row in rows)
