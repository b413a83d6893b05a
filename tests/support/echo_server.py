"""A server that sends back what it gets, with the broadcaster's protocol for WebSockets, in a thread of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvloop

from services.broadcaster.transport import SyncProtocol
from shared.io import lifecycle
from shared.io.probes import Receive, Scope, Send
from shared.settings import Http


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and send back each message as it came until the peer is gone."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@contextmanager
def echo_server() -> Iterator[int]:
    """Run the server until the block ends; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = lifecycle._Server(lifecycle._config(echo, Http(), SyncProtocol))
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            uvloop.run(_serve(server, listener))
        except BaseException as error:  # noqa: BLE001  (a thread has nobody to raise it to)
            failures.append(error)

    thread = Thread(target=serve, name="echo server")
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
    assert not failures


async def _serve(server: Any, listener: socket.socket) -> None:  # noqa: ANN401  (uvicorn's)
    await server.serve([listener])
