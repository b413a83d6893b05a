"""Plays the server's side of a script against a client, on a real WebSocket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Any, ClassVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.conformance.clients import Client
from tests.conformance.script import Message, Script, canonical_json, completed, expanded, is_match, normal
from tests.support.sync_client import SUBPROTOCOL

WITHIN_S = 15.0
"""How long a client may take for a step: a second reconnection in a row may be a while away."""

_LOOK_EVERY_S = 0.01


class ScriptedServer:
    """A WebSocket server that only listens: `connections` are those that have come, in order."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedServer]:
        """Listen on a free port."""
        async with serve(self._take, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL], close_timeout=1) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/ws"
            yield self

    async def _take(self, connection: ServerConnection) -> None:
        self.connections.put_nowait(connection)
        await connection.wait_closed()


class ClientPlayer:
    """One script, one client."""

    def __init__(self, script: Script, client: Client, server: ScriptedServer, within_s: float) -> None:
        self._script = script
        self._client = client
        self._server = server
        self._within_s = within_s
        self._connection: ServerConnection | None = None
        self._tokens: list[str] = []
        self._sent_away_at = 0.0

    async def play(self) -> None:
        """Play all steps; raises AssertionError at the first that does not go as the script says."""
        await self._client.open(self._server.url, self._script.delivery)
        try:
            for number, step in enumerate(self._script.steps, 1):
                ((kind, value),) = step.items()
                if kind in self._steps:
                    await self._play(number, kind, value)
        finally:
            await self._client.close()
        rest = await self._rest()
        assert [] == rest, f"{self._script.name}: the client says more than the script"
        assert self._server.connections.empty(), f"{self._script.name}: the client has come back"

    async def _play(self, number: int, kind: str, value: Any) -> None:  # noqa: ANN401  (the value of the step)
        try:
            async with asyncio.timeout(self._within_s):
                await self._steps[kind](self, value)
        except (AssertionError, TimeoutError) as error:
            said = str(error) or f"not within {self._within_s} s, the client holds {await self._client.state()}"
            step = canonical_json({kind: value})
            raise AssertionError(f"{self._script.name}, step {number} {step}: {said}") from error

    async def _await_connection(self, how: Message) -> None:
        self._connection = connection = await self._server.connections.get()
        waited_ms = 1000 * (time.monotonic() - self._sent_away_at)
        is_in_time = how.get("not_before_ms", 0) <= waited_ms <= how.get("within_ms", inf)
        assert is_in_time, f"it has come back after {waited_ms:.0f} ms"
        assert SUBPROTOCOL == connection.subprotocol, "it does not offer the subprotocol"
        assert connection.request is not None
        assert "/ws" == connection.request.path

    async def _hear(self, expected: Message) -> None:
        actual = await self._next(is_check_heard=expected["op"] == "check")
        waited_ms = 1000 * (time.monotonic() - self._sent_away_at)
        assert expected.get("$after_ms", 0) <= waited_ms, f"it asks again after {waited_ms:.0f} ms"
        expected = {key: value for key, value in expected.items() if key != "$after_ms"}
        token = actual.get("token")
        if expected.get("token") == "*new":
            assert token not in self._tokens, f"it signs in with {token!r} again"
            expected = {**expected, "token": "*"}
        if token is not None:
            self._tokens.append(token)
        expected = normal(
            {"delivery": self._script.delivery, **expected} if expected["op"] == "subscribe" else expected
        )
        is_said = set(expected) == set(normal(actual)) and is_match(expected, normal(actual))
        assert is_said, f"the client says {canonical_json(actual)}"

    async def _next(self, *, is_check_heard: bool) -> Message:
        """Return the next message; a client may check where the server stands whenever it likes."""
        assert self._connection is not None
        while True:
            try:
                message: Message = json.loads(await self._connection.recv())
            except ConnectionClosed as closed:
                raise AssertionError(f"the client has closed: {closed}") from closed
            if is_check_heard or message.get("op") != "check":
                return message

    async def _say(self, message: Message) -> None:
        assert self._connection is not None
        if "retry_after_ms" in message:
            self._sent_away_at = time.monotonic()
        await self._connection.send(json.dumps(completed(message)))

    async def _close(self, how: int | Message) -> None:
        assert self._connection is not None
        code, reason = (how, "") if isinstance(how, int) else (how["code"], how.get("reason", ""))
        self._sent_away_at = time.monotonic()
        await self._connection.close(code, reason)

    async def _break(self, how: bool) -> None:
        del how
        assert self._connection is not None
        self._connection.transport.abort()
        await self._connection.wait_closed()

    async def _expect(self, state: Message) -> None:
        """Wait until the client holds this: it may not have heard yet what was said last."""
        expected = {"is_over": False, **expanded(state)}
        while True:
            actual = await self._client.state()
            if all(actual[key] == value for key, value in expected.items()):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _rest(self) -> list[Message]:
        """Return what the client has said that nobody has heard, up to its end."""
        if self._connection is None:
            return []
        messages = []
        try:
            async with asyncio.timeout(self._within_s):
                while True:
                    messages.append(json.loads(await self._connection.recv()))
        except ConnectionClosed:
            return [message for message in messages if message.get("op") != "check"]

    _steps: ClassVar[dict[str, Callable[[ClientPlayer, Any], Awaitable[None]]]] = {
        "open": _await_connection,
        "client": _hear,
        "server": _say,
        "close": _close,
        "break": _break,
        "expect": _expect,
    }


async def play_against_client(script: Script, client: Client, *, within_s: float = WITHIN_S) -> None:
    """Play a script against a client that was not opened yet, with so much time a step; raises AssertionError."""
    async with ScriptedServer().running() as server:
        await ClientPlayer(script, client, server, within_s).play()
