"""A server with the broadcaster's protocol for WebSockets, in a thread of its own: for tests of the protocol alone."""

from __future__ import annotations

import socket
from threading import Thread
from typing import Self

import uvloop

from services.broadcaster.transport import SyncProtocol
from shared.io import lifecycle
from shared.io.probes import AsgiApp, Receive, Scope, Send
from shared.settings import Http

_PATIENCE_S = 10.0


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and send back each message as it came until the peer is gone."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


class WebSocketServer:
    """Runs an application until the block ends, which it must do without an error."""

    def __init__(self, app: AsgiApp = echo) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._server = lifecycle._Server(lifecycle._config(app, Http(), SyncProtocol))
        self._thread = Thread(target=self._serve, name="websocket server", daemon=True)
        self._failures: list[BaseException] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.begin_to_stop()
        self.wait()
        assert not self._failures

    def begin_to_stop(self) -> None:
        """Let it stop; returns at once."""
        self._server.should_exit = True

    def wait(self) -> None:
        """Wait until it has stopped, which must not take longer than anybody's patience."""
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        try:
            uvloop.run(self._run())
        except BaseException as error:  # noqa: BLE001  (a thread has nobody to raise it to)
            self._failures.append(error)

    async def _run(self) -> None:
        await self._server.serve([self._listener])
