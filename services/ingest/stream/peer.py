"""The other side of a stream: its bytes, and how to end it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from services.ingest.stream.session import Ending
from shared.io.probes import Receive, Send

GOODBYE_S = 2.0
"""How long a close frame may wait behind what the agent has not read."""

MAX_REASON_BYTES = 123
"""A limit of the WebSocket protocol (RFC 6455, 5.5)."""

log = structlog.get_logger(__name__)


class Wire(Protocol):
    """What of a WebSocket is used past ASGI."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """What writes frames."""

    @property
    def takes_more(self) -> bool:
        """Whether what is written now would reach the peer soon."""

    @property
    def holds_message(self) -> bool:
        """Whether `receive` would give a message at once."""

    writable: asyncio.Event

    def wake(self) -> None:
        """Let `receive` return."""

    def abort(self) -> None:
        """Drop the connection."""


class Peer(msgspec.Struct, frozen=True):
    """How to hear it, how to close on it, and the wire for all else that it is sent."""

    receive: Receive
    send: Send
    wire: Wire

    async def answer(self, frames: bytes) -> None:
        """Write frames, once it reads what was written before; one that has gone gets no answer."""
        wire = self.wire
        if not wire.takes_more:
            await wire.writable.wait()
        if wire.takes_more:
            wire.write(frames)

    def tell(self, frames: bytes) -> bool:
        """Write frames that answer nothing; False where it does not read now."""
        if not self.wire.takes_more:
            return False
        self.wire.write(frames)
        return True

    def interrupt(self) -> None:
        """Let `receive` return; a peer that does not read what it was sent is dropped at once."""
        self.wire.wake()
        if not self.wire.writable.is_set():
            self.wire.abort()

    async def close(self, ending: Ending) -> None:
        """Say why it is over."""
        reason = ending.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.send({"type": "websocket.close", "code": int(ending.code), "reason": reason})
        except TimeoutError:  # it reads nothing: what it holds of our memory is given up
            self.wire.abort()
        except OSError:
            log.debug("the agent has gone before it could be told", code=int(ending.code))
