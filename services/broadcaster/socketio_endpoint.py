"""Socket.IO at its default path: who may open a session, and the care for it until nothing of it is left."""

import asyncio
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs

import structlog

from services.broadcaster.connection import Peer
from services.broadcaster.connections import Connections
from services.broadcaster.limits import Limits
from services.broadcaster.origin import is_allowed_origin
from services.broadcaster.session import TOO_MANY_CONNECTIONS_RETRY_S
from services.broadcaster.socketio_link import Link, Past
from services.broadcaster.socketio_server import SocketIoServer, SocketTransport
from services.broadcaster.websocket import headers_of, refuse_handshake, sender_of
from shared.io.probes import Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem
from shared.io.websocket_protocol import EXTENSION

DRAIN_S = 2.0
"""How long sessions may take to end when the process stops, after their connections have: as long as a goodbye."""

_WIRE = "muster.socketio"
"""Where the scope of a WebSocket has its wire until its client is known."""

_FORBIDDEN = HttpError(403, "forbidden", "pages of this origin may not connect")
_DRAINING = HttpError(503, "unavailable", "this replica is stopping", retry_after_s=1)

log = structlog.get_logger(__name__)


class SocketIoEndpoint:
    """Serves `/socket.io/`. `origins` are the pages besides our own that may connect, as `normal_origin` writes them.

    Each client is one of the `connections`, so that their bounds, the end of tokens and the verdict on the slow hold
    for it. `drain` must be called once those have drained.
    """

    def __init__(self, connections: Connections, past: Past, origins: Collection[str], limits: Limits) -> None:
        self._connections = connections
        self._past = past
        self._origins = origins
        self._limits = limits
        self._server = SocketIoServer(self._connect, self._is_allowed, message_bytes=limits.message_bytes)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of a session, or a WebSocket."""
        headers = headers_of(scope)
        session = parse_qs(scope["query_string"].decode("latin-1")).get("sid", [""])[0]
        wire = scope.get("extensions", {}).pop(EXTENSION, None)  # left there, it would hold itself
        try:
            self._check(headers, "" if session else sender_of(scope, headers))
        except HttpError as error:
            if scope["type"] == "websocket":
                await receive()
                await refuse_handshake(error, send)
            else:
                await answer_problem(error, send)
            return
        if wire is not None:
            self._hold(session, scope, wire.abort)
        await self._server.handle_request(scope, receive, send)

    async def drain(self) -> None:
        """End what is left of sessions, and all tasks; returns when there are none."""
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._server.stop()

    def _check(self, headers: dict[bytes, str], newcomer: str) -> None:
        """Check a request, of a `newcomer` from this address if there is one; raises HttpError."""
        if not is_allowed_origin(headers.get(b"origin"), headers.get(b"host", ""), self._origins):
            raise _FORBIDDEN
        if not newcomer:
            return
        if self._connections.is_draining:
            raise _DRAINING
        if crowd := self._connections.crowd(newcomer):
            raise HttpError(429, "too_many", crowd, retry_after_s=TOO_MANY_CONNECTIONS_RETRY_S)

    def _hold(self, session: str, scope: Scope, drop: Any) -> None:  # noqa: ANN401  (a method without arguments)
        if not session:
            scope[_WIRE] = drop
        elif link := self._server.links.get(session):
            link.transport.hold(drop)

    def _is_allowed(self, origin: str, environ: Any) -> bool:  # noqa: ANN401  (as engineio gives it)
        return is_allowed_origin(origin, environ.get("HTTP_HOST", ""), self._origins)

    def _connect(self, session: str, environ: Any, transport: SocketTransport) -> Link:  # noqa: ANN401  (likewise)
        scope = environ["asgi.scope"]
        if drop := scope.pop(_WIRE, None):
            transport.hold(drop)
        link = Link(transport, self._past, self._limits, time.monotonic)
        task = asyncio.create_task(self._serve(session, link, sender_of(scope, headers_of(scope))))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return link

    async def _serve(self, session: str, link: Link, address: str) -> None:
        """Serve a client from the opening of its session to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(link.wire.run())
                await self._connections.serve(Peer(link.receive, link.close, link.wire), address)
                await link.end()
                sending.cancel()
        finally:
            await link.transport.close()
            self._server.forget(session)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a Socket.IO client could not be served", exc_info=task.exception())
