"""python-socketio's server with what it leaves to us: a link for each client, its tasks in hand, strict packets."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import engineio
import socketio
from engineio.exceptions import SocketIsClosedError
from engineio.packet import NOOP, Packet
from engineio.payload import Payload
from socketio.exceptions import ConnectionRefusedError as Refused
from socketio.packet import CONNECT, DISCONNECT, EVENT

from services.broadcaster.socketio_link import ENDED, Link

MAX_PACKETS_IN_A_POST = 100
"""How many packets a polling client may send at once: a page asks for all that it shows in the moment it connects."""

MAX_QUEUED_PACKETS = 100
"""How many packets wait in an engine's queue, ours and its own; whoever adds more waits for the client to take some."""

_NAMESPACE = "/"

# what it would log, anybody who sends nonsense could fill the log with
_silent = logging.getLogger(__name__)
_silent.setLevel(logging.CRITICAL)


class SocketTransport:
    """The Transport of a link: an engine's socket, and below it the connection, if that is a WebSocket."""

    def __init__(self, socket: Any) -> None:  # noqa: ANN401  (engineio ships no types)
        self._socket = socket
        self._drop: Callable[[], None] | None = None

    def hold(self, drop: Callable[[], None]) -> None:
        """Note what drops the WebSocket that carries the packets from now on."""
        self._drop = drop

    async def send(self, packet: Packet) -> None:
        """Send a packet after those before it; not to a client that has gone."""
        with suppress(SocketIsClosedError):
            await self._socket.send(packet)

    async def taken(self) -> None:
        """Return when the client's WebSocket, or its next poll, has taken what was sent."""
        await self._socket.queue.join()

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        if self._drop is not None:
            self._drop()

    async def close(self) -> None:
        """End it, so that the client takes it for a lost connection and comes again by itself."""
        # without the packet CLOSE, by which clients would take it for the end
        await self._socket.close(wait=False, abort=True)
        if self._socket.queue.full():
            self._discard()
        # a poll that waits gets an answer, also of a client that has left; the next one hears that there is no session
        self._socket.queue.put_nowait(Packet(NOOP))
        self._socket.queue.put_nowait(None)

    def _discard(self) -> None:
        """Give up what nobody has come for: whoever waits for room in the queue goes on."""
        while not self._socket.queue.empty():
            self._socket.queue.get_nowait()
            self._socket.queue.task_done()


class _Engine(engineio.AsyncServer):  # type: ignore[misc]  # engineio ships no types
    """Keeps hold of its tasks: one for the care of its sockets, one for each ping to come. Its queues have bounds."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  (engineio's own)
        super().__init__(**options)
        self.tasks: set[asyncio.Future[Any]] = set()

    def start_background_task(
        self,
        target: Callable[..., Coroutine[Any, Any, Any]],
        *args: Any,  # noqa: ANN401  (as in engineio)
        **kwargs: Any,  # noqa: ANN401  (likewise)
    ) -> asyncio.Future[Any]:
        """Run a coroutine function."""
        task = asyncio.ensure_future(target(*args, **kwargs))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:  # noqa: ANN401  (as in engineio)
        """Make the queue of a socket."""
        del args, kwargs
        return asyncio.Queue(MAX_QUEUED_PACKETS)


class SocketIoServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio ships no types
    """Speaks Socket.IO on the default namespace. `connect` is given each new client and returns its link.

    `is_allowed` tells by an `Origin` and the environment of a request whether such pages may connect.
    """

    def __init__(
        self,
        connect: Callable[[str, Any, SocketTransport], Link],
        is_allowed: Callable[[str, Any], bool],
        *,
        message_bytes: int,
    ) -> None:
        super().__init__(
            async_mode="asgi",
            async_handlers=False,
            logger=_silent,
            engineio_logger=_silent,
            cors_allowed_origins=is_allowed,
            cors_credentials=False,
            # it would be done for each client anew, and while everybody else waits
            http_compression=False,
            max_http_buffer_size=message_bytes,
        )
        Payload.max_decode_packets = MAX_PACKETS_IN_A_POST
        self.links: dict[str, Link] = {}
        """The clients by the id of their engine's session."""
        self._connect = connect
        self.on("connect", self._let_in)
        self.on("*", self._hear)
        self.on("disconnect", self._leave)

    async def stop(self) -> None:
        """End the tasks that care for sockets; there must be no clients any more."""
        tasks = list(self.eio.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self, session: str) -> None:
        """Forget a client that has ended."""
        self.links.pop(session, None)
        self.eio.sockets.pop(session, None)

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine

    async def _handle_eio_connect(self, eio_sid: str, environ: Any) -> None:  # noqa: ANN401  (as in python-socketio)
        await super()._handle_eio_connect(eio_sid, environ)
        self.links[eio_sid] = self._connect(eio_sid, environ, SocketTransport(self.eio.sockets[eio_sid]))

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        if link := self.links.get(eio_sid):
            link.leave()

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:  # noqa: ANN401  (as in python-socketio)
        link = self.links.get(eio_sid)
        if link is None or link.is_gone:
            return
        if not link.may_speak():
            link.turn_out("too_many", "too many messages")
            return
        if not _is_well_formed(data, self.packet_class):
            link.turn_out("bad_request", "this is no packet of Socket.IO that is understood here")
            return
        await super()._handle_eio_message(eio_sid, data)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:  # noqa: ANN401  (likewise)
        await super()._handle_connect(eio_sid, namespace, data)
        link = self.links.get(eio_sid)
        if link is not None and (namespace or _NAMESPACE) == _NAMESPACE:
            link.wire.begun.set()

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: Any, data: Any) -> None:  # noqa: A002, ANN401  (likewise)
        # not acknowledged: that would be sent past the bounds of what waits for a client
        del id
        await super()._handle_event(eio_sid, namespace, None, data)

    async def _let_in(self, sid: str, environ: Any, auth: Any) -> None:  # noqa: ANN401  (likewise)
        del environ
        link = self._link_of(sid)
        refusal = ENDED if link is None else await link.open(auth)
        if refusal is not None:
            details: dict[str, Any] = {"code": refusal.code}
            if refusal.retry_after_ms is not None:
                details["retry_after_ms"] = refusal.retry_after_ms
            raise Refused(refusal.message, details)

    async def _hear(self, event: str, sid: str, *arguments: Any) -> None:  # noqa: ANN401  (likewise)
        if link := self._link_of(sid):
            link.hear(event, arguments)

    async def _leave(self, sid: str, reason: str) -> None:
        del reason
        if link := self._link_of(sid):
            link.leave()

    def _link_of(self, sid: str) -> Link | None:
        return self.links.get(self.manager.eio_sid_from_sid(sid, _NAMESPACE))


def _is_well_formed(data: object, packet_class: Callable[..., Any]) -> bool:
    """Whether a message is a packet that a client of ours sends: text, of the default namespace, events with a name."""
    if not isinstance(data, str):
        return False
    try:
        packet = packet_class(encoded_packet=data)
    except (ValueError, RecursionError):
        return False
    if packet.packet_type == CONNECT:
        return True
    if packet.namespace not in {None, _NAMESPACE} or packet.packet_type not in {EVENT, DISCONNECT}:
        return False
    if packet.packet_type != EVENT:
        return True
    return isinstance(packet.data, list) and bool(packet.data) and isinstance(packet.data[0], str)
