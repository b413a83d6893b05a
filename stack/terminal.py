"""Tells the person at the terminal how far things are."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

NAME_WIDTH = 14


class Terminal:
    """Prints lines until there is nobody left to read them: a closed terminal must not stop the stack."""

    def __init__(self) -> None:
        self._is_open = True

    def say(self, line: str) -> None:
        """Print a line at once."""
        if not self._is_open:
            return
        try:
            print(line, flush=True)
        except (OSError, ValueError):
            # what still matters is in the log files
            self._is_open = False
            # the interpreter would try to write the rest at exit, and complain
            sys.stdout = None

    @contextmanager
    def step(self, name: str, done: str = "ready") -> Iterator[None]:
        """Say when a step has been done and how long it took; say nothing when it fails."""
        started = time.monotonic()
        yield
        self.say(f"  {name:<{NAME_WIDTH}} {done} after {time.monotonic() - started:.1f} s")
