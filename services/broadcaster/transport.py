"""uvicorn's WebSocket with a hard end: connections whose peer does not read must not outlive their session."""

import asyncio
from contextlib import suppress
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request

EXTENSION = "muster.transport"
"""The ASGI extension by which an application finds `abort`, which drops the connection with all that it holds."""

LINGER_S = 2.0
"""How long a peer may take to read its close frame when the server stops; less than the server waits for it."""

_SWITCHING_PROTOCOLS = 101


class SyncProtocol(WebSocketsSansIOProtocol):
    """Closes like uvicorn, which waits for its buffer to be read, but not for ever."""

    def handle_connect(self, event: Request) -> None:
        """Offer `abort` to the application, whose task has been made and has not begun to run."""
        super().handle_connect(event)
        if self.response.status_code == _SWITCHING_PROTOCOLS:
            self.scope["extensions"][EXTENSION] = {"abort": self.abort}

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Drop the connection some time after the application has ended, if its closing has not succeeded."""
        super().on_task_complete(task)
        self.loop.call_later(self.close_timeout, self.abort)

    def keepalive_timeout(self) -> None:
        """Drop a connection whose peer does not answer pings: waiting for it to read would be in vain."""
        super().keepalive_timeout()
        self._tell_gone()
        self.abort()

    def handle_parser_exception(self) -> None:
        """Let `send` fail from now on as it does for a peer that has gone."""
        super().handle_parser_exception()
        self.disconnected = True

    def send_receive_event_to_app(self) -> None:
        """Bear text that is not UTF-8 also where a close frame came with it: its answer is on its way, and will do."""
        with suppress(InvalidState):
            super().send_receive_event_to_app()

    def shutdown(self) -> None:
        """Let the server stop, whether the peer reads its close frame or not: a loop cannot end with unsent data."""
        with suppress(InvalidState):  # it has sent its own and has got its answer
            super().shutdown()
        self.loop.call_later(LINGER_S, self.abort)

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self.transport.abort()

    def _tell_gone(self) -> None:
        gone: Any = {"type": "websocket.disconnect", "code": 1006}
        self.disconnected = True
        self.queue.put_nowait(gone)
