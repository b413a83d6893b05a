"""A strict WebSocket client of one topic, for tests: reconnects, resumes, and raises on what the protocol forbids.

async with SyncClient(url, token, topic="servers") as client:
    await client.until(lambda state: state.data["s_1"]["tags"] == ["red"])
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.support.client_topic import ClientTopic, Violation

SUBPROTOCOL = Subprotocol("muster.v1")
FATAL_CODES = frozenset({4400, 4403})
"""Codes after which the protocol forbids to come back."""

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_TIME_IN_REASON = re.compile(r"retry_after_ms=(\d+)")

TokenSource = Callable[[], Awaitable[str]]
Predicate = Callable[[ClientTopic], object]


class SyncClient:
    """Keeps `state` in step with a topic, over as many connections as it takes.

    `url` is that of `/ws`; `token` an access token or a source of them, asked before each connection.
    `delivery` is what is asked for, if it is not the server's default.
    `closes` counts the codes with which connections ended, `connections` how many were welcomed.
    `state` is a ClientTopic where none is given.
    """

    def __init__(  # noqa: PLR0913  (what a test may want otherwise, by name)
        self,
        url: str,
        token: str | TokenSource,
        *,
        topic: str = "servers",
        workspace: str | None = None,
        delivery: str | None = None,
        state: ClientTopic | None = None,
    ) -> None:
        self.state = ClientTopic() if state is None else state
        self.closes: Counter[int] = Counter()
        self.connections = 0
        self.fatal_codes = FATAL_CODES
        self._url = url
        self._token = token
        self._topic = topic
        self._named = {"workspace": workspace} if workspace is not None else {}
        self._delivery = {"delivery": delivery} if delivery is not None else {}
        self._asked_pause_s = 0.0
        self._socket: ClientConnection | None = None
        self._wanted = asyncio.Event()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._wanted.set()
        self._task = asyncio.create_task(self._stay_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception) and error is None:
            raise outcome

    @property
    def is_over(self) -> bool:
        """Whether it will not come back, or ask again, by itself."""
        return self._task is not None and self._task.done()

    async def until(self, predicate: Predicate, *, timeout_s: float = 5.0) -> ClientTopic:
        """Wait until the predicate holds for a current state; raises what ended the client, or AssertionError."""
        assert self._task is not None
        holds = asyncio.create_task(self._wait_for(predicate))
        try:
            await asyncio.wait({holds, self._task}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            holds.cancel()  # does nothing to one that is done
        if not holds.done():
            if self._task.done():
                self._task.result()
            raise AssertionError(f"not within {timeout_s} s; {self.describe()}")
        holds.result()
        return self.state

    async def check(self) -> None:
        """Ask for a bookmark."""
        assert self._socket is not None
        await self._send(self._socket, {"op": "check"})

    async def disconnect(self) -> None:
        """Drop the connection and stay away until `reconnect`."""
        self._wanted.clear()
        if self._socket is not None:
            await self._socket.close()

    def reconnect(self) -> None:
        """Come back after `disconnect`, and resume."""
        self._wanted.set()

    def move_to(self, url: str) -> None:
        """Go to another replica with the next connection."""
        self._url = url

    def describe(self) -> str:
        """Say where the client stands, for a failing test."""
        state = self.state
        return (
            f"epoch {state.epoch} version {state.version}, {len(state.items)} items, current {state.is_current}, "
            f"{self.connections} connections, closes {dict(self.closes)}, seen {dict(state.seen)}"
        )

    async def _wait_for(self, predicate: Predicate) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.is_current and bool(predicate(self.state)))

    async def _stay_connected(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._wanted.wait()
            before = self.connections
            try:
                await self._connect()
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else 1006
                self.closes[code] += 1
                if code in self.fatal_codes:
                    raise Violation(f"closed with {code}: {error}") from error
                self._asked_pause_s = max(self._asked_pause_s, self.pause_of(str(error)))
            finally:
                self._socket = None
                self.state.disconnect()
            pause_s = _FIRST_PAUSE_S if self.connections > before else min(2 * pause_s, _LONGEST_PAUSE_S)
            await asyncio.sleep(max(pause_s, self._asked_pause_s))
            self._asked_pause_s = 0.0

    async def _connect(self) -> None:
        token = self._token if isinstance(self._token, str) else await self._token()
        async with connect(
            self._url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None, close_timeout=1
        ) as socket:
            self._socket = socket
            await socket.send(json.dumps({"op": "auth", "token": token}))
            welcome = json.loads(await socket.recv())
            if welcome["op"] == "error":
                self._asked_pause_s = welcome.get("retry_after_ms", 0) / 1000
                await socket.recv()  # the reason why the connection is closed
            if welcome["op"] != "welcome":
                raise Violation(f"neither welcomed nor closed: {welcome}")
            self.connections += 1
            await self._subscribe(socket, self.state.ask().since)
            while True:
                await self._receive(socket, json.loads(await socket.recv()))

    async def _receive(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        if message["op"] == "error" and "topic" not in message:
            self._asked_pause_s = message.get("retry_after_ms", 0) / 1000
            return  # the reason why the connection is closed
        if message.get("resource" if message["op"] == "sync" else "topic") != self._topic:
            raise Violation(f"not of the topic {self._topic}: {message}")
        if message["op"] == "error":
            if "retry_after_ms" not in message:
                raise Violation(f"refused: {message}")
            await asyncio.sleep(message["retry_after_ms"] / 1000)
            await self._subscribe(socket, self.state.ask().since)
            return
        ask = self.state.receive(message)
        if ask is not None:
            await self._subscribe(socket, ask.since)
        async with self._changed:
            self._changed.notify_all()

    async def _subscribe(self, socket: ClientConnection, since: dict[str, Any] | None) -> None:
        known = {} if since is None else {"since": since}
        await self._send(socket, {"op": "subscribe", **self._delivery, **known})

    async def _send(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        await socket.send(json.dumps({**message, "topic": self._topic, **self._named}))

    @staticmethod
    def pause_of(reason: str) -> float:
        """Return the time that the reason of a close frame names, in seconds; 0 if it names none."""
        found = _TIME_IN_REASON.search(reason)
        return int(found[1]) / 1000 if found else 0.0
