"""Runs the `muster` command as a person would, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from stack.ports import LoopbackPorts
from stack.ready import Process, Ready, read
from stack.services import SCALABLE

READY_WITHIN_S = 60.0
# What the command promises.
STOPPED_WITHIN_S = 10.0

SETUP = """
import os, pathlib, sys
exists = pathlib.Path(__file__).with_name("administrator")
if "MUSTER_ADMIN_PASSWORD" in os.environ:
    exists.write_text(os.environ["MUSTER_ADMIN_PASSWORD"])
elif not exists.exists():
    sys.exit("there is no administrator")
"""


def write_standin_services(folder: Path) -> dict[str, str]:
    """Write a `services` package of stand-ins; return the environment in which it takes the place of the real one."""
    for role in SCALABLE:
        package = folder / "services" / role
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        start = f"import sys\nfrom tests.support.standin_server import main\nsys.exit(main({role!r}))\n"
        (package / "__main__.py").write_text(start)
    (folder / "services" / "__init__.py").touch()
    (folder / "services" / "api" / "setup.py").write_text(SETUP)
    return {"PYTHONPATH": str(folder)}


class Muster:
    """A `muster up`, with what it prints in `output`."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str], *flags: str) -> None:
        self.data_dir = data_dir
        self.port = LoopbackPorts().take()
        self.output = data_dir.with_name(f"{data_dir.name}.out")
        self._command = [sys.executable, "-m", "stack.cli"]
        self._flags = ("--data-dir", str(data_dir), "--port", str(self.port), *flags)
        unwanted = {"REDIS_URL", "DATABASE_URL", "MUSTER_ADMIN_PASSWORD", "AGENT_SHARED_TOKEN"}
        plain = {name: value for name, value in os.environ.items() if name not in unwanted}
        self._environment = {**plain, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running command."""
        assert self._process is not None
        return self._process

    def launch(self) -> None:
        """Start the command."""
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*self._command, "up", *self._flags], env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )

    def start(self) -> Ready:
        """Start the command and return what it says when it is ready."""
        self.launch()
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            found = self.ready()
            if found is not None:
                return found
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def ready(self) -> Ready | None:
        """Return what `ready.json` says now."""
        return read(self.data_dir / "ready.json")

    def processes(self, role: str) -> list[Process]:
        """Return the processes of a service that run now."""
        found = self.ready()
        return [] if found is None else found.services.get(role, [])

    def wait_until_said(self, words: str) -> None:
        """Wait until this was printed."""
        deadline = time.monotonic() + READY_WITHIN_S
        while words not in self.said():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)

    def said(self) -> str:
        """Return all that was printed so far."""
        return self.output.read_text()

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run another `muster` command to its end."""
        return subprocess.run(
            [*self._command, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=READY_WITHIN_S,
            env={**self._environment, **(environment or {})},
        )

    def family(self) -> list[psutil.Process]:
        """Return every process below the command."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit status, which must come within the promised time."""
        self.process.send_signal(number)
        return self.process.wait(STOPPED_WITHIN_S)

    def clear_away(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def wait_until_gone(family: list[psutil.Process]) -> None:
    """Wait until none of the processes runs; what remains of one that nobody has waited for is no process."""
    deadline = time.monotonic() + STOPPED_WITHIN_S
    while left := [process for process in family if _runs(process)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
