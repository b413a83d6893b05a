"""Autobahn's case 2: a ping is answered by a pong with its payload, in order; pongs are answered by nothing."""

from __future__ import annotations

import pytest

from shared.io.websocket_protocol import FRAMES_AT_ONCE
from tests.support.raw_websocket import RawWebSocket
from tests.support.websocket_frames import Frame, Opcode, close, more, ping, pong, text
from tests.support.websocket_vectors import Vector, play, vectors

_OCTETS = bytes([0, 255, 254, 253, 252, 251, 0, 255])
_LONGEST = b"\xfe" * 125
_TEN = tuple(b"payload-%d" % number for number in range(10))

_VECTORS = (
    Vector("2.1", "a ping without payload", (ping(),), (pong(),)),
    Vector("2.2", "a ping with text", (ping(b"Hello, world!"),), (pong(b"Hello, world!"),)),
    Vector("2.3", "a ping with octets that are no text", (ping(_OCTETS),), (pong(_OCTETS),)),
    Vector("2.4", "a ping of 125 octets", (ping(_LONGEST),), (pong(_LONGEST),)),
    Vector("2.5", "a ping of 126 octets is refused", (ping(_LONGEST + b"!"),), failure=1002),
    Vector("2.6", "a ping of 125 octets, octet by octet", (ping(_LONGEST),), (pong(_LONGEST),), chop=1),
    Vector("2.7", "a pong without payload that nobody asked for", (pong(),)),
    Vector("2.8", "a pong with payload that nobody asked for", (pong(b"unsolicited"),)),
    Vector("2.9", "a pong that nobody asked for, then a ping", (pong(b"no"), ping(b"yes")), (pong(b"yes"),)),
    Vector("2.10", "ten pings at once", tuple(map(ping, _TEN)), tuple(map(pong, _TEN))),
    Vector("2.11", "ten pings, octet by octet", tuple(map(ping, _TEN)), tuple(map(pong, _TEN)), chop=1),
)


@vectors(_VECTORS)
async def test_pings_are_answered_and_pongs_are_not(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


@pytest.mark.parametrize("frame", [ping(b"x" * 125), pong(), more(fin=False)], ids=["pings", "pongs", "empty pieces"])
async def test_a_peer_that_sends_little_else_is_cut_off(client: RawWebSocket, frame: Frame) -> None:
    await client.send(text(b"a", fin=False), *[frame] * 2 * FRAMES_AT_ONCE)
    while (answer := await client.receive()) is not None and answer.opcode == Opcode.PONG:
        pass
    assert close(1002, b"too many frames that are no message") == answer
