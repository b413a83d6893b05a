"""WebSocket frames as octets, made and read by hand (RFC 6455, section 5): also those that no library would send."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES = frozenset(Opcode)

LONGEST_CONTROL = 125
RSV1, RSV2, RSV3 = 4, 2, 1


class Frame(NamedTuple):
    """One frame, or a whole message; `reserved` are the three bits that only extensions may set."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    reserved: int = 0

    def __repr__(self) -> str:
        cut = f"… ({len(self.payload)} octets)" if len(self.payload) > 40 else ""
        return f"Frame({self.opcode}, {self.payload[:40]!r}{cut}, fin={self.fin}, reserved={self.reserved})"


class Malformed(AssertionError):
    """The server has sent what is no frame of a server."""


def text(payload: str | bytes = b"", *, fin: bool = True, reserved: int = 0) -> Frame:
    return Frame(Opcode.TEXT, payload.encode() if isinstance(payload, str) else payload, fin, reserved)


def binary(payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> Frame:
    return Frame(Opcode.BINARY, payload, fin, reserved)


def more(payload: str | bytes = b"", *, fin: bool = True, reserved: int = 0) -> Frame:
    """Return a continuation; the last one of a message unless `fin` is False."""
    return text(payload, fin=fin, reserved=reserved)._replace(opcode=Opcode.CONTINUATION)


def ping(payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> Frame:
    return Frame(Opcode.PING, payload, fin, reserved)


def pong(payload: bytes = b"", *, fin: bool = True) -> Frame:
    return Frame(Opcode.PONG, payload, fin)


def close(code: int | None = 1000, reason: bytes = b"", *, reserved: int = 0) -> Frame:
    head = b"" if code is None else struct.pack("!H", code)
    return Frame(Opcode.CLOSE, head + reason, reserved=reserved)


def fragments(message: Frame, size: int) -> Iterator[Frame]:
    """Split a message into frames of `size` octets; the last may be shorter, and all but the first continue it."""
    places = range(0, max(1, len(message.payload)), size)
    for place in places:
        piece = message.payload[place : place + size]
        fin = place == places[-1]
        if place == 0:
            yield message._replace(payload=piece, fin=fin)
        else:
            yield Frame(Opcode.CONTINUATION, piece, fin)


def encode(frame: Frame, mask: bytes | None) -> bytes:
    """Return the octets of a frame; a client has to mask, with four octets."""
    size = len(frame.payload)
    masked = 0 if mask is None else 0x80
    head = bytes([(0x80 if frame.fin else 0) | frame.reserved << 4 | frame.opcode])
    if size <= LONGEST_CONTROL:
        head += struct.pack("!B", masked | size)
    elif size < 2**16:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    if mask is None:
        return head + frame.payload
    return head + mask + _mask(frame.payload, mask)


def _mask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def decode(octets: bytes | bytearray) -> tuple[Frame, int] | None:
    """Read the frame of a server at the beginning, and how long it is; None while it is incomplete.

    Raises Malformed for what a server must not send.
    """
    if len(octets) < 2:
        return None
    if octets[1] & 0x80:
        raise Malformed("a server does not mask")
    size, head = octets[1] & 0x7F, 2
    if size > LONGEST_CONTROL:
        head, form = (4, "!H") if size == 126 else (10, "!Q")
        if len(octets) < head:
            return None
        (size,) = struct.unpack(form, octets[2:head])
        if size <= (LONGEST_CONTROL if form == "!H" else 2**16 - 1):
            raise Malformed(f"{size} is not written in as few octets as it takes")
    if len(octets) < head + size:
        return None
    first = octets[0]
    frame = Frame(first & 0x0F, bytes(octets[head : head + size]), bool(first & 0x80), first >> 4 & 7)
    if frame.opcode not in _OPCODES:
        raise Malformed(f"{frame} has no known opcode")
    if frame.opcode >= Opcode.CLOSE and not (frame.fin and size <= LONGEST_CONTROL):
        raise Malformed(f"{frame} is a control frame that is too long or fragmented")
    return frame, head + size
