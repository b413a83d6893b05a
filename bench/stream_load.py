"""Many agents' streams in one process, as cheaply as Python can: only what a measurement needs of a WebSocket client.

The messages are those of `docs/agent-protocol.md`.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from bench.fanout.wire import PING, masked, pong, take_frames, upgrade

ANSWERED_WITHIN_S = 60.0
_ACK = b'{"op":"ack"'
_CONFIG = b'{"op":"config"'
_TEXT = 1


class Refused(Exception):
    """The server said something else than that it took a message in."""


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
        self._received = bytearray()
        self._shook_hands = False
        self._sent = 1
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(upgrade("/ingest/v1/ws", "muster.agent.v1", self._secret.decode()))

    def send(self, samples: bytes) -> None:
        """Send a message with these samples, JSON objects with commas between."""
        self._sent += 1
        self._transport.write(masked(b'{"op":"metrics","seq":%d,"samples":[%b]}' % (self._sent, samples)))

    def beat(self) -> None:
        """Say that the agent is there, and no more."""
        self._sent += 1
        self._transport.write(masked(b'{"op":"status","seq":%d}' % self._sent))

    def data_received(self, data: bytes) -> None:
        """Read whatever is complete."""
        self._received += data
        if not self.is_open.done() and not self._shook_hands:
            self._read_head()
        if self._shook_hands:
            for opcode, payload in take_frames(self._received):
                if opcode == _TEXT:
                    self._take(payload)
                elif opcode == PING:
                    self._transport.write(pong(payload))
                else:
                    self._fail(Refused(f"a frame of opcode {opcode}: {payload!r}"))

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
        self._transport.write(masked(body % self.boot_id.encode()))

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
