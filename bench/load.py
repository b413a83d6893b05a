"""Loads an HTTP server with POST requests over keep-alive connections, as cheaply as Python can."""

import asyncio
import time
from collections.abc import Callable
from typing import cast

Request = Callable[[int], bytes]
"""Makes the next request of the connection with this number, head and body."""


class _Connection(asyncio.Protocol):
    """Keeps one request under way until it is told to stop."""

    def __init__(self, number: int, make_request: Request, accepted: bytes) -> None:
        self.answers = 0
        self.refused = b""
        self._number = number
        self._make_request = make_request
        self._accepted = accepted
        self._transport: asyncio.WriteTransport
        self._received = b""
        self._until_s = 0.0
        self._idle: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def start(self, until_s: float) -> asyncio.Future[None]:
        """Send requests until then; the future is done when the last answer is here."""
        self.answers, self._until_s = 0, until_s
        self._idle = asyncio.get_running_loop().create_future()
        self._transport.write(self._make_request(self._number))
        return self._idle

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"}"):  # every answer is one JSON object
            return
        if not self._received.startswith(self._accepted):
            self.refused = self._received
            self._idle.set_result(None)
            return
        self._received = b""
        self.answers += 1
        if time.perf_counter() < self._until_s:
            self._transport.write(self._make_request(self._number))
        else:
            self._idle.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._idle.done():
            self._idle.set_exception(error or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class Load:
    """Connections to one server. `accepted` is how every answer must begin."""

    def __init__(self, connections: list[_Connection]) -> None:
        self._connections = connections

    @classmethod
    async def connect(cls, port: int, make_request: Request, *, connections: int, accepted: bytes) -> "Load":
        """Open the connections to 127.0.0.1."""
        loop = asyncio.get_running_loop()
        opened = []
        for number in range(connections):
            _, protocol = await loop.create_connection(
                lambda number=number: _Connection(number, make_request, accepted),  # type: ignore[misc]  # the default binds the loop's variable
                "127.0.0.1",
                port,
            )
            opened.append(protocol)
        return cls(opened)

    async def run(self, seconds: float) -> tuple[int, float]:
        """Return how many requests were answered, and in how many seconds; raises RuntimeError when one was refused."""
        began_s = time.perf_counter()
        await asyncio.gather(*(connection.start(began_s + seconds) for connection in self._connections))
        took_s = time.perf_counter() - began_s
        for connection in self._connections:
            if connection.refused:
                raise RuntimeError(f"refused: {connection.refused.decode()}")
        return sum(connection.answers for connection in self._connections), took_s

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.close()
