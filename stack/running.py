"""Finds the Muster that a command is about: the one that runs in a data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stack import ready
from stack.errors import StackError
from stack.layout import DataFolder


def running(data_dir: Path) -> ready.Ready | None:
    """Return what the Muster in the folder says of itself, None unless one is ready; raises `StackError`."""
    return ready.read(DataFolder(data_dir.absolute()).ready_file)


def local_url(data_dir: Path) -> str:
    """Return the origin of the Muster in the folder; raises `StackError`."""
    found = running(data_dir)
    if found is None:
        raise StackError(f"no Muster is ready in {data_dir}: start it with muster up, or name a server with --url")
    return found.url


def database_url(data_dir: Path, environ: Mapping[str, str]) -> str:
    """Return the database's URL, of the environment or else of the Muster in the folder; raises `StackError`."""
    given = environ.get("DATABASE_URL")
    if given:
        return given
    found = running(data_dir)
    if found is None:
        raise StackError(f"no Muster is ready in {data_dir}: start it with muster up, or set DATABASE_URL")
    return found.database_url
