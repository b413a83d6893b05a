"""Frames that are written past uvicorn stand between its own, and are what RFC 6455 and RFC 7692 want. Not in Autobahn.

The client takes no masked frame, no length in more octets than it needs, and no reserved bit but for what was agreed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import msgspec
import pytest

from services.broadcaster.frames import Frame as PreparedFrame
from shared.io.probes import Receive, Scope, Send
from shared.io.websocket_protocol import EXTENSION
from tests.support.raw_websocket import RawWebSocket, raw_websocket
from tests.support.websocket_frames import ping, pong, text
from tests.support.websocket_server import WebSocketServer

_SIZES = (14, 99, 100, 125, 126, 127, 65535, 65536, 256_000)


class Line(msgspec.Struct):
    """A message of the size that a test wants."""

    text: str


@cache
def line_of(size: int) -> Line:
    """Return a message of so many octets, as hard to compress as JSON can be."""
    chance = random.Random(size)
    return Line("".join(chr(chance.randrange(35, 92)) for _ in range(size - len('{"text":""}'))))


@cache
def prepared(size: int) -> PreparedFrame:
    """Return a frame that all clients share."""
    return PreparedFrame((line_of(size), line_of(size // 2 + 12)))


async def write_between(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer each size with a prepared frame of it, with what was sent, and with the frame again."""
    await receive()
    await send({"type": "websocket.accept"})
    wire = scope["extensions"][EXTENSION]
    while (message := await receive())["type"] == "websocket.receive":
        wire.write(wire.form(prepared(int(message["text"]))))
        await send({"type": "websocket.send", "text": message["text"]})
        wire.write(wire.form(prepared(int(message["text"]))))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Give the port of a server that writes prepared frames between its own."""
    with WebSocketServer(write_between) as server:
        yield server.port


async def expect_answer(client: RawWebSocket, size: int) -> None:
    """Ask for a size, with a ping before, and check all that comes."""
    await client.send(ping(b"before"), text(str(size)))
    assert pong(b"before") == await client.receive()
    payloads = [text(payload) for payload in prepared(size).payloads]
    for expected in (*payloads, text(str(size)), *payloads):
        assert expected == await client.receive()


@pytest.mark.parametrize("size", _SIZES)
async def test_plain_frames_go_to_whom_compression_was_not_agreed_with(port: int, size: int) -> None:
    async with raw_websocket(port) as client:
        await expect_answer(client, size)
        await client.finish()


@pytest.mark.parametrize("size", _SIZES)
async def test_deflated_frames_go_to_whom_it_was_agreed_with(port: int, size: int) -> None:
    async with raw_websocket(port, offers="permessage-deflate; client_max_window_bits") as client:
        await expect_answer(client, size)
        # each line that is worth it, twice, and the one that uvicorn compresses
        worth_it = sum(len(payload) > 200 for payload in prepared(size).payloads)
        assert client.inflated >= 1 + 2 * worth_it
        await client.finish()


@pytest.mark.parametrize("bits", [9, 12, 14])
async def test_plain_frames_go_to_whom_the_window_is_too_small_of(port: int, bits: int) -> None:
    async with raw_websocket(port, offers=f"permessage-deflate; server_max_window_bits={bits}") as client:
        await expect_answer(client, 65536)
        assert 1 == client.inflated
        await client.finish()


async def test_clients_of_every_kind_share_a_frame(port: int) -> None:
    offers = ("", "permessage-deflate", "permessage-deflate; server_max_window_bits=10")
    for size in _SIZES:
        for offer in offers:
            async with raw_websocket(port, offers=offer) as client:
                await expect_answer(client, size)
                await client.finish()
