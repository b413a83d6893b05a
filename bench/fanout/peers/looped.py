"""Peers without a server around them: for each byte on standard input, one ready frame to every client.

    python -m bench.fanout.peers.looped floor|uvloop PAYLOAD_BYTES

`floor` stands in for floor.c where there is no compiler: the same loop of write(), in Python. Both greet a client with
the answer to a handshake that it did not make.
"""

import asyncio
import os
import selectors
import socket
import sys
from typing import cast

import uvloop

from bench.fanout.peers.rounds import rounds
from bench.fanout.wire import unmasked

_GREETING = b"HTTP/1.1 101 \r\n\r\n"


def write_in_a_loop(port: int, frame: bytes) -> None:
    """Serve with bare system calls."""
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    asked = os.read(0, 64)
                    if not asked:
                        return
                    for _ in asked:
                        clients = [client for client in clients if _is_written(client, frame)]
                    continue
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if _is_written(client, _GREETING):
                    clients.append(client)


def _is_written(client: socket.socket, data: bytes) -> bool:
    try:
        client.sendall(data)
    except OSError:
        client.close()
        return False
    return True


class _Client(asyncio.Protocol):
    """Puts its transport among the others while it is connected."""

    def __init__(self, transports: dict[asyncio.WriteTransport, None]) -> None:
        self._transports = transports
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transports[self._transport] = None
        self._transport.write(_GREETING)

    def connection_lost(self, error: Exception | None) -> None:
        del error
        del self._transports[self._transport]


async def write_to_transports(port: int, frame: bytes) -> None:
    """Serve with an event loop."""
    transports: dict[asyncio.WriteTransport, None] = {}
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Client(transports), "127.0.0.1", port, backlog=4096)
    async for _ in rounds():
        for transport in transports:
            transport.write(frame)


def main() -> None:
    """Serve until standard input ends."""
    kind, size_bytes = sys.argv[1:]
    port, frame = int(os.environ["PORT"]), unmasked(b"y" * int(size_bytes))
    if kind == "floor":
        write_in_a_loop(port, frame)
    else:
        uvloop.run(write_to_transports(port, frame))


if __name__ == "__main__":
    main()
