"""An echoing server with the broadcaster's WebSocket protocol, and a client that is nothing but a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.raw_websocket import RawWebSocket, raw_websocket
from tests.support.websocket_server import WebSocketServer


@pytest.fixture(scope="session")
def echo_port() -> Iterator[int]:
    """Give the port of the server."""
    with WebSocketServer() as server:
        yield server.port


@pytest_asyncio.fixture
async def client(echo_port: int) -> AsyncIterator[RawWebSocket]:
    """Give a connection that was opened without extensions."""
    async with raw_websocket(echo_port) as client:
        yield client
