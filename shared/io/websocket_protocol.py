"""uvicorn's WebSocket in less memory, and with a way past its `send`: frames are written to the transport as they are.

Whole frames only, from the loop's own thread, after the handshake and before the closing one: uvicorn, too, writes
whole frames and never fragments a message, so that its own sends and pings may stand between ours.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState, ProtocolError
from websockets.extensions import ServerExtensionFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

EXTENSION = "muster.wire"
"""The ASGI extension by which an application finds the LeanProtocol of its connection."""

WAKE = {"type": "muster.wake"}
"""What `receive` gives for a `wake`."""

LINGER_S = 2.0
"""How long a peer may take to read its close frame when the server stops; less than the server waits for it."""

FRAMES_AT_ONCE, FRAMES_PER_S = 1_000, 100
"""How many frames that are no message a peer may send at once, and a second after that."""

SMALL_PIECE_BYTES = 64
"""A piece of a message that is no smaller than this costs its sender enough."""

_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_READ_AHEAD = 1
_SWITCHING_PROTOCOLS = 101
_INVALID_DATA = 1007  # RFC 6455, 7.4.1


class Inbox:
    """As much of an `asyncio.Queue` as uvicorn uses, for one reader, in a tenth of its 3 kB."""

    __slots__ = ("_events", "_reader")

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, event: Any) -> None:  # noqa: ANN401  (an event of ASGI)
        """Add an event."""
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:  # noqa: ANN401  (an event of ASGI)
        """Wait for the next event."""
        while not self._events:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._events.pop(0)

    def qsize(self) -> int:
        """Return how many wait."""
        return len(self._events)

    def empty(self) -> bool:
        """Tell whether there is none."""
        return not self._events

    @property
    def next(self) -> Any:  # noqa: ANN401  (an event of ASGI)
        """The event that `get` would give at once, None where it would wait."""
        return self._events[0] if self._events else None


class _Protocol(ServerProtocol):
    """websockets' protocol, to which a close within a message is a close (RFC 6455, 5.4), and no error of the peer.

    A peer may send only so many frames that are no message: pings, pongs, and small pieces of one. The application
    never sees these and cannot charge for them, and a turn of the loop parses all that one read of the socket brings.
    """

    _due_s = 0.0
    """When all that was sent would have been due, at `FRAMES_PER_S`: https://en.wikipedia.org/wiki/GCRA."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        elif frame.opcode not in _DATA or (frame.opcode is Opcode.CONT and len(frame.data) < SMALL_PIECE_BYTES):
            now_s = time.monotonic()
            self._due_s = max(self._due_s, now_s) + 1 / FRAMES_PER_S
            if self._due_s - now_s > FRAMES_AT_ONCE / FRAMES_PER_S:
                raise ProtocolError("too many frames that are no message")
        super().recv_frame(frame)


class LeanProtocol(WebSocketsSansIOProtocol):
    """Closes like uvicorn, which waits for its buffer to be read, but not for ever. `offered` are its extensions."""

    offered: ClassVar[Sequence[ServerExtensionFactory]] = ()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        _end(self.conn)
        self.conn = _Protocol(extensions=self.offered, max_size=config.ws_max_size, logger=self.logger)
        self.queue = Inbox()  # type: ignore[assignment]  # as much of one as is used
        self.block: Callable[[], None] = _nobody
        self.flow: Callable[[], None] = _nobody

    def handle_connect(self, event: Request) -> None:
        """Offer itself to the application, whose task has been made and has not begun to run."""
        super().handle_connect(event)
        if self.response.status_code == _SWITCHING_PROTOCOLS:
            extensions: Any = self.scope["extensions"]
            extensions[EXTENSION] = self

    def start_keepalive(self) -> None:
        """Begin to ping, and let go of what only the handshake needed: a third of what a connection would hold."""
        super().start_keepalive()
        self.scope["headers"] = []
        self.request.headers.clear()
        self.response.headers.clear()

    def attach(self, block: Callable[[], None], flow: Callable[[], None]) -> None:
        """Tell these when the transport is full, and when it takes more."""
        self.block, self.flow = block, flow
        if self.disconnected or not self.writable.is_set():
            block()

    def detach(self) -> None:
        """Forget whom to tell."""
        self.block = self.flow = _nobody

    @property
    def write(self) -> Callable[[bytes], None]:
        """The transport's own way to write, with nothing in between: a fan-out is little else than this."""
        return self.transport.write

    @property
    def takes_more(self) -> bool:
        """Whether what is written now would reach the peer soon, as far as can be told here."""
        return self.writable.is_set() and not (self.disconnected or self.close_sent or self.transport.is_closing())

    @property
    def holds_message(self) -> bool:
        """Whether `receive` would give a message at once."""
        event = self.queue.next  # type: ignore[attr-defined]  # an Inbox
        return event is not None and event["type"] == "websocket.receive"

    def wake(self) -> None:
        """Let the application's `receive` return, after what has come in."""
        event: Any = WAKE
        self.queue.put_nowait(event)

    def pause_writing(self) -> None:
        """Note that the transport holds as much as it should."""
        super().pause_writing()
        self.block()

    def resume_writing(self) -> None:
        """Note that it has written most of it."""
        super().resume_writing()
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.flow()

    def connection_lost(self, exc: Exception | None) -> None:
        """Write nothing from now on, and leave nothing for the collector of circles."""
        self.block()
        super().connection_lost(exc)
        _end(self.conn)

    def handle_close(self, event: Any) -> None:  # noqa: ANN401  (a frame of websockets)
        """Write nothing after the closing handshake."""
        self.block()
        super().handle_close(event)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Drop the connection some time after the application has ended, if its closing has not succeeded."""
        super().on_task_complete(task)
        self.block()
        self.loop.call_later(self.close_timeout, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """Drop a connection whose peer does not answer pings: waiting for it to read would be in vain."""
        super().keepalive_timeout()
        self._tell_gone()
        self.abort()

    def handle_parser_exception(self) -> None:
        """Let `send` fail from now on as it does for a peer that has gone."""
        self.block()
        super().handle_parser_exception()
        self.disconnected = True

    def send_receive_event_to_app(self) -> None:
        """Give a message to the application; its peer is read on while no more than one waits for it.

        To pause for each message costs two system calls where the application does not take it in the same turn of the
        loop. Text that is not UTF-8 is refused without a word in the log, which anybody could fill.
        """
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        event: Any = {"type": "websocket.receive", "bytes": data}
        if self.curr_msg_data_type == "text":
            try:
                event = {"type": "websocket.receive", "text": data.decode()}
            except UnicodeDecodeError:
                with suppress(InvalidState):  # a close frame came with it: its answer is on its way, and will do
                    self.conn.send_close(_INVALID_DATA)
                    self.handle_parser_exception()
                return
        self.queue.put_nowait(event)
        if not (self.read_paused or self.queue.qsize() <= _READ_AHEAD):
            self.read_paused = True
            self.transport.pause_reading()

    def shutdown(self) -> None:
        """Let the server stop, whether the peer reads its close frame or not: a loop cannot end with unsent data."""
        self.block()
        with suppress(InvalidState):  # it has sent its own and has got its answer
            super().shutdown()
        self.loop.call_later(LINGER_S, self.abort)

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self.block()
        self.transport.abort()

    def _tell_gone(self) -> None:
        gone: Any = {"type": "websocket.disconnect", "code": 1006}
        self.disconnected = True
        self.queue.put_nowait(gone)


def _end(protocol: ServerProtocol) -> None:
    """Stop a protocol that is fed nothing any more: its parser would hold it until circles are collected."""
    protocol.parser.close()


def _nobody() -> None:
    """Stand for an application that has not asked, or has ended."""
