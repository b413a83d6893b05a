"""The log file of each program: bounded in size, and readable where something went wrong."""

from __future__ import annotations

from pathlib import Path

ROTATE_OVER_BYTES = 10 * 1024 * 1024
TAIL_BYTES = 8 * 1024


def rotate(log: Path) -> None:
    """Move a log that has grown large aside, over the one that was moved before."""
    if log.exists() and log.stat().st_size > ROTATE_OVER_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def tail(log: Path, lines: int) -> list[str]:
    """Return the last lines of a log, none when there is no log."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()[-lines:]
