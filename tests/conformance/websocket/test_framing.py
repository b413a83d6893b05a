"""Autobahn's case 1: text and binary messages of every form of length are echoed; and what masking is for."""

from __future__ import annotations

from tests.support.raw_websocket import RawWebSocket
from tests.support.websocket_frames import binary, encode, text
from tests.support.websocket_vectors import Vector, expect_failure, play, vectors

_SIZES = ((0, None), (125, None), (126, None), (127, None), (128, None), (65535, None), (65536, None), (65536, 997))


def _name(size: int, chop: int | None) -> str:
    return f"{size} octets" + (f" in segments of {chop}" if chop else "")


def _messages() -> list[Vector]:
    listed = []
    for number, (size, chop) in enumerate(_SIZES, 1):
        message = text("*" * size)
        listed.append(Vector(f"1.1.{number}", "text of " + _name(size, chop), (message,), (message,), chop=chop))
        message = binary(b"\xfe" * size)
        listed.append(Vector(f"1.2.{number}", "binary of " + _name(size, chop), (message,), (message,), chop=chop))
    return listed


@vectors(_messages())
async def test_a_message_is_echoed(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


async def test_a_frame_that_is_not_masked_is_refused(client: RawWebSocket) -> None:
    """Not in Autobahn, whose frames are always masked; RFC 6455, section 5.1."""
    await client.send(text("bare"), masked=False)
    await expect_failure(client, 1002)


async def test_every_mask_is_undone(client: RawWebSocket) -> None:
    """Not in Autobahn, which takes any mask."""
    for mask in (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"Mask"):
        for size in range(10):
            message = text("Mask it!!!"[:size])
            await client.send_octets(encode(message, mask))
            assert message == await client.receive()
    await client.finish()
