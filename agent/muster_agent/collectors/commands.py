"""Runs programs of this machine that tell about it; they are given nothing and change nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from muster_agent.update.program import clean_environment

# Where tools for root are that a user's PATH lacks.
ROOTS_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
LONGEST_COMPLAINT = 120
KILLED_WITHIN_S = 1.0

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
    with _signals_reach_programs():
        program = subprocess.Popen(  # noqa: S603 - programs and flags that stand in this package
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
    try:
        printed, complained = program.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _leave(program)
        raise
    if is_failure(program.returncode):
        complaint = (complained or printed).decode(errors="replace").strip()[:LONGEST_COMPLAINT]
        raise CommandFailed(f"{Path(command[0]).name} ended with {program.returncode}: {complaint}")
    return printed


def _leave(program: subprocess.Popen[bytes]) -> None:
    """Kill a program; one that the kernel does not let go of yet, since its disk does not answer, ends by itself."""
    program.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(KILLED_WITHIN_S)
    for stream in (program.stdout, program.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def _signals_reach_programs() -> Iterator[None]:
    """Start a program in here, so that it does not inherit that this thread leaves signals to the main one.

    One that hangs would else hold up the stop of the whole service until it is killed.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment() -> dict[str, str]:
    """Give this process' environment without what is meant for the agent alone, such as its token and its libraries."""
    own = clean_environment(os.environ)
    return {**{name: value for name, value in own.items() if not name.startswith("MUSTER_")}, "LC_ALL": "C"}
