"""Gives log lines their form: `2026-01-01T00:00:00Z info enrolled as s_…`, on stderr."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO


class LineFormatter(logging.Formatter):
    """One line an event: UTC time, level in lower case, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Write the time in UTC to the second."""
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Write the line, the level in lower case."""
        return f"{record.asctime} {record.levelname.lower()} {record.message}"


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the agent's log to `stream` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
