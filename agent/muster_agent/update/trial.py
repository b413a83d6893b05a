"""Tries a build as a child of the agent that runs: it is chosen only once the server has heard it.

The old agent stands by with its own reporting ended, so that the trial is the whole agent at work and nothing that a
new version does (hang, crash, wait for ever) can keep the old one from coming back.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

TRIAL = "MUSTER_AGENT_TRIAL"
REPORTED = b"muster-agent: the server has heard me\n"
LOOK_EVERY_S = 0.2


def reports_within(
    command: Sequence[str], environ: Mapping[str, str], limit_s: float, has_given_up: Callable[[], bool]
) -> bool:
    """Run a build until it says that the server has heard it, or the time is over; it has ended when this returns.

    A build that cannot be started, ends, or says something else does not report.
    """
    deadline_s = time.monotonic() + limit_s
    try:
        child = subprocess.Popen(  # noqa: S603 - a build whose signature was checked
            command,
            env={**environ, TRIAL: "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        return _reads(child.stdout, deadline_s, has_given_up)
    finally:
        _end(child)


def _reads(pipe: IO[bytes], deadline_s: float, has_given_up: Callable[[], bool]) -> bool:
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while time.monotonic() < deadline_s and not has_given_up():
            if not selector.select(min(LOOK_EVERY_S, max(0.0, deadline_s - time.monotonic()))):
                continue
            chunk = os.read(pipe.fileno(), 4096)
            if not chunk:
                return False
            said = (said + chunk)[-len(REPORTED) :]
            if said.endswith(REPORTED):
                return True
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    # at once, with all that it has started, and without a goodbye: it is about to come back
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait()


def say_reported() -> None:
    """Tell the agent that tries this one that the server has heard it; to be called once, in a trial only."""
    sys.stdout.buffer.write(REPORTED)
    sys.stdout.buffer.flush()


def is_trial(environ: Mapping[str, str]) -> bool:
    """Tell whether this process is being tried."""
    return environ.get(TRIAL) == "1"


def end_with_parent(end: Callable[[], None] | None = None) -> None:
    """End this process when the one that tries it has ended, however that happened."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdin.buffer.read()
        if end is not None:
            end()
        else:
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
