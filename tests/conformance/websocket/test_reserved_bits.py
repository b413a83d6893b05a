"""Autobahn's case 3: a reserved bit that no extension was agreed for fails the connection (RFC 6455, section 5.2)."""

from __future__ import annotations

from tests.support.raw_websocket import EACH_FRAME, RawWebSocket
from tests.support.websocket_frames import Frame, binary, close, ping, text
from tests.support.websocket_vectors import Vector, expect_failure, play, vectors

_HELLO = text("Hello, world!")


def _after_a_message(reserved: int) -> tuple[Frame, ...]:
    return _HELLO, text("Hello, world!", reserved=reserved), ping()


_VECTORS = (
    Vector("3.1", "RSV 1 in a text", (text("Hello", reserved=1),), failure=1002),
    Vector("3.2", "RSV 2 after a message, in one segment", _after_a_message(2), (_HELLO,), 1002),
    Vector("3.3", "RSV 3 after a message, frame by frame", _after_a_message(3), (_HELLO,), 1002, EACH_FRAME),
    Vector("3.4", "RSV 4 after a message, octet by octet", _after_a_message(4), (_HELLO,), 1002, 1),
    Vector("3.5", "RSV 5 in a binary message", (binary(b"\x00\xff", reserved=5),), failure=1002),
    Vector("3.6", "RSV 6 in a ping", (ping(b"Hello", reserved=6),), failure=1002),
    Vector("3.7", "RSV 7 in a close frame", (close(1000, reserved=7),), failure=1002),
)


@vectors(_VECTORS)
async def test_reserved_bits_are_refused(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


async def test_a_message_before_a_refused_frame_is_echoed_when_there_was_time(client: RawWebSocket) -> None:
    """3.2 to 3.4 as Autobahn's strict outcome has it: the server has answered before the wrong frame is sent."""
    await client.send(_HELLO)
    assert _HELLO == await client.receive()
    await client.send(*_after_a_message(2)[1:])
    await expect_failure(client, 1002)
