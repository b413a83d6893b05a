"""Real Valkey for tests, from its wheel."""

from __future__ import annotations

from pathlib import Path

import redis

from stack.embedded import valkey
from stack.ports import LoopbackPorts
from tests.support.processes import RunningProgram

PASSWORD = "valkey-of-the-tests"


def answers(url: str) -> bool:
    """Tell whether the server has loaded its data and takes commands."""
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.ResponseError):
            return False


def clean(url: str) -> None:
    """Bring a server back to what it was when it started: no keys, no scripts, no counters."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()


class ValkeyServer(RunningProgram):
    """A Valkey with a folder of its own. A `durable` one keeps its data over a restart, as in `muster up`."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        port = LoopbackPorts().take()
        self.url = valkey.url(port, PASSWORD)
        folder.mkdir(parents=True, exist_ok=True)
        program = valkey.server(folder, port, PASSWORD, folder / "valkey.log", durable=durable)
        super().__init__(program, lambda: answers(self.url))
