"""A WebSocket client that is nothing but a socket: it sends the octets that a test wants, however wrong they are."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha1

from tests.support.deflate import Deflate, agreed
from tests.support.websocket_frames import RSV1, Frame, Opcode, close, decode, encode

DEADLINE_S = 10.0
"""How long anything may take that the server does at once."""

EACH_FRAME = 0
"""A `chop` that sends every frame in a segment of its own."""

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_READ_BYTES = 2**18


class RawWebSocket:
    """An open connection; `deflate` is what was agreed about compression, if anything."""

    def __init__(self, connection: socket.socket, rest: bytes, deflate: Deflate | None) -> None:
        self.deflate = deflate
        self.inflated = 0
        """How many messages of the server came compressed."""
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray(rest)
        self._has_ended = False
        self._message: Frame | None = None

    async def send(self, *frames: Frame, chop: int | None = None, masked: bool = True) -> None:
        """Send frames: in one segment, or one each (EACH_FRAME), or in segments of `chop` octets."""
        octets = [encode(frame, os.urandom(4) if masked else None) for frame in frames]
        whole = b"".join(octets)
        if chop is not None:
            octets = octets if chop == EACH_FRAME else [whole[at : at + chop] for at in range(0, len(whole), chop)]
        await self.send_octets(*(octets if chop is not None else [whole]))

    async def send_octets(self, *segments: bytes) -> None:
        """Send octets, whatever they mean, each in a segment of its own."""
        async with asyncio.timeout(DEADLINE_S):
            for segment in segments:
                await self._loop.sock_sendall(self._connection, segment)

    def hang_up(self) -> None:
        """Send nothing any more, without closing as a WebSocket does."""
        self._connection.shutdown(socket.SHUT_WR)

    async def receive(self) -> Frame | None:
        """Return the next whole message or control frame; None when the connection has ended."""
        while (frame := await self._frame()) is not None:
            if frame.opcode >= Opcode.CLOSE:
                assert not frame.reserved, f"{frame} has reserved bits set"
                return frame
            message = self._message
            assert (message is None) == (frame.opcode != Opcode.CONTINUATION), f"{frame} after {message}"
            assert message is None or not frame.reserved, f"{frame} has reserved bits set"
            message = frame if message is None else message._replace(payload=message.payload + frame.payload)
            self._message = None if frame.fin else message
            if frame.fin:
                return self._plain(message)
        assert self._message is None, f"the connection ended within {self._message}"
        return None

    async def finish(self, code: int = 1000) -> None:
        """Close; the server must close with the same code, then end the connection."""
        await self.send(close(code))
        assert await self.receive() == close(code)
        assert await self.receive() is None

    async def close_code(self) -> int | None:
        """Wait until the server has closed and ended the connection; return its code, None for a frame without one."""
        frame = await self.receive()
        assert frame is not None, "the connection ended without a close frame"
        assert frame.opcode == Opcode.CLOSE, f"{frame} instead of a close frame"
        assert await self.receive() is None
        return int.from_bytes(frame.payload[:2], "big") if frame.payload else None

    def _plain(self, message: Frame) -> Frame:
        payload = message.payload
        if message.reserved:
            assert self.deflate is not None, f"{message} has reserved bits set"
            assert message.reserved == RSV1, f"{message} has reserved bits set"
            payload = self.deflate.inflate(payload)
            self.inflated += 1
        if message.opcode == Opcode.TEXT:
            payload.decode()
        return Frame(message.opcode, payload)

    async def _frame(self) -> Frame | None:
        async with asyncio.timeout(DEADLINE_S):
            while (found := decode(self._unread)) is None:
                if not await self._read():
                    assert not self._unread, "the connection ended within a frame"
                    return None
        frame, size = found
        del self._unread[:size]
        return frame

    async def _read(self) -> bool:
        octets = b""
        if not self._has_ended:
            # a server that refuses what it has not read yet resets the connection
            with suppress(ConnectionError):
                octets = await self._loop.sock_recv(self._connection, _READ_BYTES)
        self._has_ended = not octets
        self._unread += octets
        return bool(octets)


@asynccontextmanager
async def raw_websocket(port: int, *, offers: str = "") -> AsyncIterator[RawWebSocket]:
    """Connect to a server on this machine; `offers` is the Sec-WebSocket-Extensions to send."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(0)
    with connection:
        async with asyncio.timeout(DEADLINE_S):
            rest, header = await _shake_hands(connection, offers)
        yield RawWebSocket(connection, rest, agreed(header))


async def _shake_hands(connection: socket.socket, offers: str) -> tuple[bytes, str]:
    loop, key = asyncio.get_running_loop(), base64.b64encode(os.urandom(16))
    request = (
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n"
    )
    if offers:
        request += f"Sec-WebSocket-Extensions: {offers}\r\n".encode()
    await loop.sock_sendall(connection, request + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        octets = await loop.sock_recv(connection, _READ_BYTES)
        assert octets, f"the handshake ended after {answer!r}"
        answer += octets
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert status.startswith("HTTP/1.1 101 "), answer
    expected = base64.b64encode(sha1(key + _ACCEPT_GUID).digest()).decode()  # noqa: S324  (RFC 6455 says so)
    assert expected == headers["sec-websocket-accept"]
    return rest, headers.get("sec-websocket-extensions", "")
