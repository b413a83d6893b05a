"""Peers under uvicorn: for each byte on standard input, a message to every client, one `await send` after the other.

    python -m bench.fanout.peers.asgi uvicorn|litestar PAYLOAD_BYTES

`uvicorn` is a plain ASGI application that sends ready text; `litestar` one that gives Litestar an object to encode.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvicorn
import uvloop
from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from bench.fanout.peers.rounds import rounds

SendOne = Callable[[], Awaitable[None]]
_EMPTY = len('{"op":"changes","data":""}')


def plain(size_bytes: int, clients: dict[SendOne, None]) -> Any:  # noqa: ANN401  (uvicorn takes any application)
    """Return the ASGI application."""
    message = {"type": "websocket.send", "text": "y" * size_bytes}

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001  (ASGI's form)
        async def send_one() -> None:
            await send(message)

        await receive()
        await send({"type": "websocket.accept"})
        clients[send_one] = None
        while (await receive())["type"] != "websocket.disconnect":
            pass
        del clients[send_one]

    return app


def litestar(size_bytes: int, clients: dict[SendOne, None]) -> Litestar:
    """Return the Litestar application."""
    message = {"op": "changes", "data": "y" * (size_bytes - _EMPTY)}

    @websocket("/")
    async def listen(socket: WebSocket[Any, Any, Any]) -> None:
        async def send_one() -> None:
            await socket.send_json(message)

        await socket.accept()
        clients[send_one] = None
        with suppress(WebSocketDisconnect):
            while True:
                await socket.receive_text()
        del clients[send_one]

    return Litestar([listen], openapi_config=None, logging_config=None)


async def serve(kind: str, size_bytes: int) -> None:
    """Serve until standard input ends."""
    clients: dict[SendOne, None] = {}
    app = {"uvicorn": plain, "litestar": litestar}[kind](size_bytes, clients)
    config = uvicorn.Config(
        app,
        port=int(os.environ["PORT"]),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        backlog=4096,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async for _ in rounds():
        for send_one in list(clients):
            await send_one()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
