"""Many agents' streams in one process, as cheaply as Python can: only what a measurement needs of a WebSocket client.

The messages are those of `docs/agent-protocol.md`. Frames are masked with zeros, which leaves the payload as it is.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from typing import cast

ANSWERED_WITHIN_S = 60.0
_ACK = b'{"op":"ack"'
_CONFIG = b'{"op":"config"'
_SHORT, _MEDIUM = 126, 2**16


class Refused(Exception):
    """The server said something else than that it took a message in."""


def frame(payload: bytes) -> bytes:
    """Return a whole text message of a client."""
    size = len(payload)
    if size < _SHORT:
        head = bytes((0x81, 0x80 | size))
    elif size < _MEDIUM:
        head = bytes((0x81, 0x80 | _SHORT)) + size.to_bytes(2, "big")
    else:
        raise ValueError(f"{size} bytes are more than any measurement sends in a message")
    return head + b"\0\0\0\0" + payload


class Stream(asyncio.Protocol):
    """One agent's connection. `on_ack` is called for each message that was acknowledged, the handshake's excepted."""

    def __init__(self, secret: bytes, boot_id: str, on_ack: Callable[["Stream"], None]) -> None:
        loop = asyncio.get_running_loop()
        self.boot_id = boot_id
        self.acks = 0
        self.is_open: asyncio.Future[None] = loop.create_future()
        self.has_ended: asyncio.Future[None] = loop.create_future()
        self._secret = secret
        self._on_ack = on_ack
        self._received = b""
        self._shook_hands = False
        self._sent = 1
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.WriteTransport", transport)
        key = b64encode(os.urandom(16))
        self._transport.write(
            b"GET /ingest/v1/ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\nSec-WebSocket-Protocol: muster.agent.v1\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % (key, self._secret)
        )

    def send(self, samples: bytes) -> None:
        """Send a message with these samples, JSON objects with commas between."""
        self._sent += 1
        self._transport.write(frame(b'{"op":"metrics","seq":%d,"samples":[%b]}' % (self._sent, samples)))

    def data_received(self, data: bytes) -> None:
        """Read whatever is complete."""
        self._received += data
        if not self.is_open.done() and not self._shook_hands:
            self._read_head()
        while (payload := self._next_payload()) is not None:
            self._take(payload)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        reason = error or Refused(f"the server closed the connection: {self._received!r}")
        for future in (self.is_open, self.has_ended):
            if not future.done():
                future.set_exception(reason)

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _read_head(self) -> None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101"):
            self._fail(Refused(self._received.decode(errors="replace")))
            return
        self._received, self._shook_hands = rest, True
        body = b'{"op":"handshake","seq":1,"boot_id":"%b","agent_version":"bench","interval_s":10}'
        self._transport.write(frame(body % self.boot_id.encode()))

    def _next_payload(self) -> bytes | None:
        received = self._received
        if not self._shook_hands or len(received) < 2:  # noqa: PLR2004  (the shortest head)
            return None
        at, size = 2, received[1]
        if size == _SHORT:
            at, size = 4, int.from_bytes(received[2:4], "big")
        if len(received) < at + size:
            return None
        self._received = received[at + size :]
        if received[0] == 0x81:  # noqa: PLR2004  (a whole text)
            return received[at : at + size]
        self._fail(Refused(f"a frame {received[: at + size]!r}"))
        return None

    def _take(self, payload: bytes) -> None:
        if payload.startswith(_ACK):
            if not self.is_open.done():
                self.is_open.set_result(None)
                return
            self.acks += 1
            self._on_ack(self)
        elif not payload.startswith(_CONFIG):
            self._fail(Refused(payload.decode()))

    def _fail(self, reason: Refused) -> None:
        for future in (self.is_open, self.has_ended):
            if not future.done():
                future.set_exception(reason)
        self._transport.abort()


def nothing(_: Stream) -> None:
    """Do nothing about an acknowledgement."""


async def connect(port: int, secret: bytes, boot_id: str, on_ack: Callable[[Stream], None] = nothing) -> Stream:
    """Open the stream of an agent to 127.0.0.1, and shake hands; raises Refused."""
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(lambda: Stream(secret, boot_id, on_ack), "127.0.0.1", port)
    stream.has_ended.add_done_callback(lambda ended: ended.exception())  # looked at or not
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        await stream.is_open
    return stream
