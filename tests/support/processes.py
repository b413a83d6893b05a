"""Runs a program of the stack for a test, and breaks it on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from stack import folders
from stack.program import Program

READY_WITHIN_S = 20.0
STOPPED_WITHIN_S = 20.0


class RunningProgram:
    """A started program, which `answers` tells to be ready; every fault keeps its data and its port."""

    def __init__(self, program: Program, answers: Callable[[], bool]) -> None:
        self.program = program
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running program."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it answers."""
        kept = self._hold_folder()
        with self.program.log.open("ab") as log:
            options = self.program.spawn_options(log.fileno(), kept)
            self._process = subprocess.Popen(self.program.command(), **options)
        for descriptor in kept:
            os.close(descriptor)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"{self.program.name} did not start:\n{self.program.log.read_text()}")
            time.sleep(0.01)

    def _hold_folder(self) -> list[int]:
        deadline = time.monotonic() + STOPPED_WITHIN_S
        while self.program.exclusive is not None:
            try:
                return [folders.hold(self.program.exclusive)]
            except BlockingIOError:
                assert time.monotonic() < deadline, "an earlier process does not end"
                time.sleep(0.01)
        return []

    def stop(self) -> None:
        """End it as `muster up` would."""
        self._end(self.program.stop_signal)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still, like a machine that is overloaded or asleep."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
