"""A server that stops says so to every client (1012), and is kept by none of them. Not in Autobahn."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from shared.io import websocket_protocol
from shared.io.probes import Receive, Scope, Send
from tests.support.raw_websocket import raw_websocket
from tests.support.websocket_frames import close
from tests.support.websocket_server import WebSocketServer

_MORE_THAN_SOCKETS_HOLD = 32_000_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "LINGER_S", 0.1)


class Talker:
    """Sends more than a client takes that does not read, and waits until it is gone."""

    def __init__(self) -> None:
        self.has_sent = Event()
        self.is_gone = Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (ASGI's form)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(_MORE_THAN_SOCKETS_HOLD)})
        self.has_sent.set()
        assert (await receive())["type"] == "websocket.disconnect"
        self.is_gone.set()


async def test_a_client_is_told_that_the_server_stops() -> None:
    with WebSocketServer() as server:
        async with raw_websocket(server.port) as client:
            server.begin_to_stop()
            assert 1012 == await client.close_code()


async def test_a_client_that_closes_and_does_not_read_is_dropped_when_the_server_stops() -> None:
    talker = Talker()
    with WebSocketServer(talker) as server:
        async with raw_websocket(server.port) as client:
            await client.send(close())
            assert await asyncio.to_thread(talker.is_gone.wait, 5)
            server.begin_to_stop()
            await asyncio.to_thread(server.wait)


async def test_a_client_that_does_not_read_is_dropped_when_the_server_stops() -> None:
    talker = Talker()
    with WebSocketServer(talker) as server:
        async with raw_websocket(server.port):
            assert await asyncio.to_thread(talker.has_sent.wait, 5)
            server.begin_to_stop()
            await asyncio.to_thread(server.wait)
