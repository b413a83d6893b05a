"""The processes of a measurement: servers pinned to the first core, and crowds on what is left."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from bench.fanout.crowd import Counts, Opened, serve
from bench.fanout.dialects import Plan
from stack import launch

FIRST_CORE = {min(os.sched_getaffinity(0))}
_READY_WITHIN_S = 30.0
_STOPPED_WITHIN_S = 20.0
_CPUCLOCK_SCHED = 2

_Answer = TypeVar("_Answer")


class Server:
    """A server under test, and all processes that it has started."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._process = process

    def cpu_s(self) -> float:
        """Return the processor time that it has used, by its clock as clock_getcpuclockid(3) names it."""
        return time.clock_gettime((~self._process.pid << 3) | _CPUCLOCK_SCHED)

    def waited_s(self) -> float:
        """Return how long its first thread has waited for its core: what else the machine does makes it wait."""
        return waited_s(self._process.pid)

    def rss_bytes(self) -> int:
        """Return how much memory it has now."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def trigger(self) -> None:
        """Ask a peer for one round: a frame for each of its clients."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def metric(self, name: str) -> float:
        """Return a sample of its /metrics, zero when it has none of this name."""
        text = http_get(self.port, "/metrics")
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(values[0]) if values else 0.0

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait(_STOPPED_WITHIN_S)

    def until_ready(self, path: str = "") -> None:
        """Wait until it answers, a GET of `path` if there is one; raises RuntimeError."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while True:
            with suppress(OSError):
                if path:
                    http_get(self.port, path)
                else:
                    socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"{self._process.args!r} did not start")
            time.sleep(0.02)


def waited_s(pid: int) -> float:
    """Return the time that the first thread of a process was ready to run and did not run."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


def http_get(port: int, path: str) -> str:
    """Return what a server of 127.0.0.1 answers; raises OSError."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


@contextmanager
def pinned(command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[Server]:
    """Run a server on the first core until the block ends, or this process does; PORT tells it where to listen."""
    bound = [sys.executable, "-I", "-S", launch.__file__, "--parent", str(os.getpid())]
    bound += ["--death-signal", str(int(signal.SIGKILL)), "--", *command]
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, FIRST_CORE)  # every thread of the child inherits it
    try:
        process = subprocess.Popen(bound, env={**os.environ, **environment, "PORT": str(port)}, stdin=subprocess.PIPE)
    finally:
        os.sched_setaffinity(0, own)
    try:
        yield Server(process, port)
    finally:
        process.terminate()
        try:
            process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class CrowdProcess:
    """Speaks to the process of a crowd; one question at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def waited_s(self) -> float:
        """Return how long it has waited for a core."""
        return waited_s(self._process.pid or 0)

    def open(self, plan: Plan, *, timeout_s: float = 120.0) -> Opened:
        """Open the connections of a plan and return when all are live; raises TimeoutError."""
        return self._ask("open", plan, Opened, timeout_s)

    def counts(self, group: str) -> Counts:
        """Return what the connections of a group have got since they were live."""
        return self._ask("counts", group, Counts)

    def latencies_s(self, group: str) -> list[float]:
        """Return the ages of the changes that a timed group has got since this was last asked."""
        return self._ask("latencies", group, list)

    def close(self, group: str) -> None:
        """Close the connections of a group."""
        self._ask("close", group, type(None))

    def end(self) -> None:
        """End the process; its connections end with it."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()

    def _ask(self, what: str, argument: object, kind: type[_Answer], timeout_s: float = 30.0) -> _Answer:
        self._pipe.send((what, argument))
        if not self._pipe.poll(timeout_s):
            raise TimeoutError(f"the clients did not {what} {argument!r:.200} within {timeout_s:.0f} s")
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("the process of the clients has ended") from error
        if not isinstance(answer, kind):
            raise TypeError(f"the clients answered {answer!r:.200}")
        return answer


@contextmanager
def crowd() -> Iterator[CrowdProcess]:
    """Run a crowd until the block ends."""
    started = CrowdProcess()
    try:
        yield started
    finally:
        started.end()
