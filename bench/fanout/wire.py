"""WebSocket frames (RFC 6455) as a client that must cost next to nothing sees them. Pure."""

import base64
import os
import struct
from collections.abc import Iterator

CLOSE, PING = 8, 9
_TEXT, _BINARY, _PONG = 1, 2, 10
_SHORT, _MEDIUM = 126, 127
_MASKED = 0x80


def upgrade(path: str, subprotocol: str = "", token: str = "") -> bytes:
    """Return the request that opens a WebSocket; `token` says in its head who asks."""
    wanted = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    if token:
        wanted += f"Authorization: Bearer {token}\r\n"
    return (
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n{wanted}\r\n"
    ).encode()


def masked(payload: bytes, opcode: int = _TEXT) -> bytes:
    """Return a client's frame; a mask of zeros leaves the payload as it is."""
    size = len(payload)
    head = bytes((0x80 | opcode, _MASKED | size)) if size < _SHORT else struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
    return head + b"\0\0\0\0" + payload


def unmasked(payload: bytes) -> bytes:
    """Return a server's text frame."""
    size = len(payload)
    return (bytes((0x81, size)) if size < _SHORT else struct.pack(">BBH", 0x81, _SHORT, size)) + payload


def pong(payload: bytes) -> bytes:
    """Return the answer to a ping."""
    return masked(payload, _PONG)


def _header(data: bytes | bytearray, at: int, end: int) -> tuple[int, int] | None:
    """Return where the payload of the frame at `at` begins and ends; None while its header is not whole."""
    if end - at < 2:  # noqa: PLR2004  (the shortest header)
        return None
    size, begin = data[at + 1], at + 2
    if size == _SHORT:
        begin += 2
    elif size == _MEDIUM:
        begin += 8
    if begin > end:
        return None
    if size >= _SHORT:
        size = int.from_bytes(data[at + 2 : begin], "big")
    return begin, begin + size


def take_frames(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole frames off the front of `data`: opcode and payload of each, continuations left unjoined."""
    while (place := _header(data, 0, len(data))) is not None and place[1] <= len(data):
        opcode, payload = data[0] & 15, bytes(data[place[0] : place[1]])
        del data[: place[1]]
        yield opcode, payload


class Skimmer:
    """Counts the data frames of one connection and steps over their payloads.

    Frames shorter than `shortest` are not counted: bookmarks and the like are no changes.
    """

    __slots__ = ("_rest", "_skip", "frames", "shortest")

    def __init__(self, shortest: int) -> None:
        self.shortest = shortest
        self.frames = 0
        self._rest = b""
        self._skip = 0

    def skim(self, data: bytearray | bytes, end: int) -> list[tuple[int, bytes]]:
        """Take in `data[:end]`; returns the control frames in it."""
        if self._skip >= end:
            self._skip -= end
            return []
        at, self._skip = self._skip, 0
        if self._rest:
            data, at, self._rest = self._rest + data[at:end], 0, b""
            end = len(data)
        controls: list[tuple[int, bytes]] = []
        while at < end:
            place = _header(data, at, end)
            is_control = bool(data[at] & 8)
            if place is None or (is_control and place[1] > end):
                self._rest = bytes(data[at:end])
                return controls
            if is_control:
                controls.append((data[at] & 15, bytes(data[place[0] : place[1]])))
            elif place[1] - place[0] >= self.shortest:
                self.frames += 1
            at = place[1]
        self._skip = at - end
        return controls
