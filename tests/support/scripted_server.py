"""A sync server without a topic: a test says each of its messages, and looks at each of the client's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

WITHIN_S = 20.0


class Visit:
    """One connection of a client."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def expect(self, op: str) -> dict[str, Any]:
        """Return the next message, which must be of this kind."""
        async with asyncio.timeout(WITHIN_S):
            message: dict[str, Any] = json.loads(await self._socket.recv())
        assert op == message["op"], message
        return message

    async def say(self, *frames: str | dict[str, Any]) -> None:
        """Send messages."""
        for frame in frames:
            await self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def welcome(self, *, workspaces: tuple[str, ...] = ("w_1",), lasts: timedelta | None = None) -> None:
        """Let the client in."""
        now = datetime.now(UTC)
        known = [{"id": workspace, "name": workspace, "role": "viewer"} for workspace in workspaces]
        times = {"server_time": now.isoformat(), "expires_at": None if lasts is None else (now + lasts).isoformat()}
        await self.say({"op": "welcome", "session": "c_1", "heartbeat_s": 25, "workspaces": known, **times})

    async def let_in(self, **how: Any) -> str:  # noqa: ANN401 - arguments of welcome
        """Expect the client's token, and welcome it; returns the token."""
        token = str((await self.expect("auth"))["token"])
        await self.welcome(**how)
        return token

    async def close(self, code: int, reason: str = "") -> None:
        """End the connection."""
        await self._socket.close(code, reason)

    async def until_closed(self) -> int | None:
        """Wait until the client has ended the connection; returns its code."""
        async with asyncio.timeout(WITHIN_S):
            await self._socket.wait_closed()
        return self._socket.close_code


class ScriptedServer:
    """`url` is that of its `/ws`."""

    def __init__(self) -> None:
        self.url = ""
        self._visits: asyncio.Queue[Visit] = asyncio.Queue()

    async def visit(self) -> Visit:
        """Return the next connection of a client."""
        async with asyncio.timeout(WITHIN_S):
            return await self._visits.get()

    async def serve(self, socket: ServerConnection) -> None:
        """Keep a connection as long as it lasts."""
        self._visits.put_nowait(Visit(socket))
        await socket.wait_closed()


@asynccontextmanager
async def scripted_server(*, refuses_with: int | None = None) -> AsyncIterator[ScriptedServer]:
    """Run a server, which says nothing by itself; it may refuse each handshake with an HTTP status, for 90 s."""

    def refuse(socket: ServerConnection, request: Request) -> Response | None:
        del request
        if refuses_with is None:
            return None
        response = socket.respond(HTTPStatus(refuses_with), "")
        response.headers["Retry-After"] = "90"
        return response

    server = ScriptedServer()
    async with serve(
        server.serve,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("muster.v1")],
        close_timeout=1,
        process_request=refuse,
    ) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}/ws"
        yield server
