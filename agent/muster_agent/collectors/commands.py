"""Runs programs of this machine that tell about it; they are given nothing and change nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

# Where tools for root are that a user's PATH lacks.
ROOTS_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
LONGEST_COMPLAINT = 120

Run = Callable[[Sequence[str]], bytes]


class CommandFailed(Exception):
    """A program ended with an error; it is told with what it printed first."""


def find(name: str) -> str | None:
    """Give the path of a program, None where this machine does not have it."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *ROOTS_FOLDERS]))


def output_of(command: Sequence[str], timeout_s: float = 10.0, is_failure: Callable[[int], bool] = bool) -> bytes:
    """Run a program and give what it prints.

    Raises CommandFailed when its exit code is one that `is_failure` calls a failure, and TimeoutExpired.
    """
    done = subprocess.run(  # noqa: S603 - programs and flags that stand in this package
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=timeout_s,
        env=_environment(),
        check=False,
    )
    if is_failure(done.returncode):
        complaint = done.stdout.decode(errors="replace").strip()[:LONGEST_COMPLAINT]
        raise CommandFailed(f"{Path(command[0]).name} ended with {done.returncode}: {complaint}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Give this process' environment without what is meant for the agent alone, such as its token."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    return {**own, "LC_ALL": "C"}
