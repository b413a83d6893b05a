"""uvicorn's HTTP, with one system call for an answer instead of two: for a small answer that is a tenth of its cost."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT_EXTENSION = "muster.abort"
"""The ASGI extension by which an application finds what drops its connection, whether the peer reads or not."""


class _Flush:
    """Writes at the end of a turn of the loop what is still held then: one callback for all connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._holding: list[JoiningTransport] = []

    def note(self, transport: "JoiningTransport") -> None:
        if not self._holding:
            self._loop.call_soon(self._run)
        self._holding.append(transport)

    def _run(self) -> None:
        holding, self._holding = self._holding, []
        for transport in holding:
            transport.flush()


_flushes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Flush] = WeakKeyDictionary()


class JoiningTransport:
    """What uvicorn writes to: the head of an answer waits for the body, but for no longer than a turn of the loop.

    It has no more of a transport than uvicorn uses, and a way to drop the connection.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.inner = transport
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        flush = _flushes.get(loop)
        if flush is None:
            flush = _flushes[loop] = _Flush(loop)
        self._note = flush.note
        self._held = b""

    def write(self, data: bytes) -> None:
        """Hold what comes first; write it together with what comes next."""
        if self._held:
            held, self._held = self._held, b""
            self.inner.write(held + data)
        else:
            self._held = data
            self._note(self)

    def close(self) -> None:
        """Close once everything is written."""
        self.flush()
        self.inner.close()

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self._held = b""
        self.inner.abort()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            held, self._held = self._held, b""
            self.inner.write(held)


class JoiningProtocol(HttpToolsProtocol):
    """HTTP/1.1 over a JoiningTransport; a WebSocket gets the transport itself."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Give uvicorn the joining transport."""
        joining = JoiningTransport(transport, asyncio.get_running_loop())
        super().connection_made(joining)  # type: ignore[arg-type]  # as much of a transport as is used

    def on_message_begin(self) -> None:
        """Offer the application a way to drop its connection."""
        super().on_message_begin()
        extensions: Any = {ABORT_EXTENSION: self.transport.abort}
        self.scope["extensions"] = extensions

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over as it is, and go at once: the parser, which calls this, would hold it."""
        if isinstance(self.transport, JoiningTransport):
            self.transport = self.transport.inner
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]  # it is fed nothing any more
