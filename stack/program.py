"""Describes one process of the stack: what it runs, as whom, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stack import launch


@dataclass(frozen=True)
class Account:
    """A system user that a program runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """A process that has not been started.

    `name` is unique within a stack, `role` is shared by replicas. `environment` is the whole environment. `url` is
    where others reach it, if anywhere. `exclusive` is a lock file that it holds as long as any of its processes lives.

    `stop_signal` asks it to end, `kill_signal` makes it; `death_signal` comes when the supervisor died without either.
    """

    name: str
    role: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path = Path(os.devnull)
    directory: Path | None = None
    url: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    kill_signal: signal.Signals = signal.SIGKILL
    death_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    exclusive: Path | None = None

    def command(self) -> list[str]:
        """Return the command line that starts the program bound to the life of this process."""
        line = [sys.executable, "-I", "-S", launch.__file__]
        line += ["--parent", str(os.getpid()), "--death-signal", str(int(self.death_signal))]
        if self.account is not None:
            line += ["--user", f"{self.account.uid}:{self.account.gid}"]
        return [*line, "--", *self.argv]

    def spawn_options(self, output: int, kept: Sequence[int] = ()) -> dict[str, Any]:
        """Return the keyword arguments for `subprocess` or `asyncio`.

        `output` is the descriptor (or `PIPE`) that takes what the program prints; it inherits the descriptors `kept`.
        A session of its own keeps the terminal's Ctrl-C away: the supervisor decides the order in which programs end.
        """
        return {
            "stdin": subprocess.DEVNULL,
            "stdout": output,
            "stderr": subprocess.STDOUT,
            "env": dict(self.environment),
            "cwd": self.directory,
            "pass_fds": tuple(kept),
            "start_new_session": True,
        }


async def run_to_end(program: Program) -> tuple[int, str]:
    """Run a program that ends by itself; return its exit status and what it printed.

    A call that is cancelled kills the program.
    """
    options = program.spawn_options(asyncio.subprocess.PIPE)
    process = await asyncio.create_subprocess_exec(*program.command(), **options)
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return await process.wait(), output.decode(errors="replace").strip()


def plain_environment() -> dict[str, str]:
    """Return an environment for servers that must not be steered by the caller's `PG…`, `LC_…` or `XDG_…` variables."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
