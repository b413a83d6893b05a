"""Private folders, files and secrets of a data folder, and who holds them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stack.errors import StackError

LOOK_EVERY_S = 0.05
# The processes of a server that was killed may need this long to end, and until then its folder is theirs.
FOLDER_FREE_WITHIN_S = 15.0


def make_private(folder: Path) -> Path:
    """Create the folder (mode 0700) with its parents unless it exists; return it.

    Raises `StackError` when that is impossible or nothing can be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as error:
        raise StackError(f"{folder} is not a folder") from error
    except OSError as error:
        raise StackError(f"cannot write in the folder {folder}: {error.strerror or error}") from error
    return folder


def write_private(path: Path, content: str) -> None:
    """Replace the file (mode 0600) in one step, so that a reader sees the old or the new content whole."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def kept_secret(path: Path) -> str:
    """Return the secret in the file; where there is none, make one of 256 bits and keep it (mode 0600)."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        secret = secrets.token_urlsafe(32)
        write_private(path, secret + "\n")
        return secret


def hold(path: Path) -> int:
    """Take the file's lock and return the open descriptor that holds it, also in processes that inherit it.

    A lock of flock(2) ends with the last process that has the descriptor, however that process ended, and so never goes
    stale. Raises `BlockingIOError` when another holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


async def hold_within(path: Path, patience_s: float, has_given_up: Callable[[], bool] = lambda: False) -> int:
    """Take the file's lock as `hold` does, waiting for another who has it.

    Raises `BlockingIOError` when the patience is at its end, or when the caller `has_given_up`.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return hold(path)
        except BlockingIOError:
            if has_given_up() or time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOOK_EVERY_S)
