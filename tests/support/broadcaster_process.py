"""`python -m services.broadcaster` as a process that a test kills, stops and starts again, always on one port."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from stack.ports import LoopbackPorts

_STOPPED_WITHIN_S = 20.0
_ANSWERS_WITHIN_S = 1.0


class BroadcasterProcess:
    """A broadcaster; `url` is that of its `/ws`. What it prints is in `log`."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        port = LoopbackPorts().take()
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.log = log
        self.is_paused = False
        self._http = f"http://127.0.0.1:{port}"
        self._environment = {**os.environ, "PORT": str(port), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has neither been killed nor ended by itself."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, without waiting until it is ready."""
        assert not self.is_running
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.broadcaster"], env=self._environment, stdout=log, stderr=log
            )
        self.is_paused = False

    def is_ready(self) -> bool:
        """Whether it says that it can serve; raises AssertionError if it has ended."""
        assert self.is_running, self.log.read_text()[-4_000:]
        try:
            self.get("/readiness")
        except OSError:
            return False
        return True

    def get(self, path: str) -> str:
        """Return the body of a successful answer; raises OSError."""
        with urllib.request.urlopen(self._http + path, timeout=_ANSWERS_WITHIN_S) as answer:  # noqa: S310  (our own)
            return str(answer.read().decode())

    def pause(self) -> None:
        """Let it stand still, like a machine that is overloaded or asleep."""
        os.kill(self.pid, signal.SIGSTOP)
        self.is_paused = True

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self.pid, signal.SIGCONT)
        self.is_paused = False

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOPPED_WITHIN_S)
            self._process = None
