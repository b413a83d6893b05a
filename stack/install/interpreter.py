"""Finds a Python that can run Muster."""

from __future__ import annotations

import sys

from stack.install.commands import succeeds
from stack.install.failure import InstallError

OLDEST = (3, 11)
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3", "python")


def is_usable(python: str) -> bool:
    """Tell whether this interpreter runs and is new enough."""
    return succeeds([python, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"])


def find() -> str:
    """Return the interpreter that runs this, or else the first one on the PATH that is new enough.

    Raises `InstallError` when there is none.
    """
    for python in (sys.executable, *NAMES):
        if python and is_usable(python):
            return python
    wanted = ".".join(map(str, OLDEST))
    found = ".".join(map(str, sys.version_info[:3]))
    raise InstallError(f"Muster needs Python {wanted} or newer, and finds only {found}")
