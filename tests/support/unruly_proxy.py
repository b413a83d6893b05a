"""A WebSocket proxy before a server that hands messages on late, twice, in another order, or not at all; and cuts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.sync_client import SUBPROTOCOL

_CHANGES = ('{"op":"changes"', '{"op":"sync"', '{"op":"full"', '{"op":"bookmark"')
_SNAPSHOT = '{"op":"snapshot"'
_ANSWERS = ('{"op":"subscribed"', _SNAPSHOT)
_DOUBLED, _LOST, _LATE = 0.2, 0.05, 0.4
_LONGEST_DELAY_S = 0.06


class UnrulyProxy:
    """Stands before the server at `target`; what a client sends always arrives, in order and once.

    While `is_unruly`, what the server says of a topic is mangled. A network that loses single messages is worse than
    any that carries WebSockets: with it, the client has real gaps to find. Answers to subscriptions are not lost.
    """

    def __init__(self, target: str, random: Random) -> None:
        self.target = target
        self.is_unruly = False
        self.cuts_next_snapshot = False
        """Whether to end the connection after the first part of the next snapshot that has several."""
        self.snapshots_cut = 0
        self.url = ""
        self._random = random
        self._clients: set[ServerConnection] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve at `url` until the block ends."""
        async with serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=0.1,
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/ws"
            yield
            self.cut()

    def cut(self) -> None:
        """Drop every connection, with what is on its way."""
        for client in list(self._clients):
            client.transport.abort()

    async def _serve(self, client: ServerConnection) -> None:
        self._clients.add(client)
        gone = asyncio.create_task(client.wait_closed())
        serving = asyncio.create_task(self._connect(client))
        try:
            await asyncio.wait({gone, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._clients.discard(client)
            gone.cancel()
            serving.cancel()
            await asyncio.wait({gone, serving})

    async def _connect(self, client: ServerConnection) -> None:
        try:
            async with connect(
                self.target,
                subprotocols=[SUBPROTOCOL],
                compression=None,
                proxy=None,
                max_size=None,
                ping_interval=None,
                close_timeout=0.1,
            ) as server:
                upward = asyncio.create_task(_hand_up(client, server))
                try:
                    await self._hand_down(server, client)
                finally:
                    upward.cancel()
                    await asyncio.wait({upward})
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                await client.close(closed.rcvd.code, closed.rcvd.reason)
        except (OSError, InvalidHandshake):
            pass
        client.transport.abort()

    async def _hand_down(self, server: ClientConnection, client: ServerConnection) -> None:
        on_their_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                message = await server.recv(decode=True)
                if self._is_cut_after(message):
                    await _deliver(client, message)
                    client.transport.abort()
                for delay_s in self._delays_s(message):
                    if delay_s == 0:
                        await _deliver(client, message)
                        continue
                    task = asyncio.create_task(_deliver(client, message, delay_s))
                    on_their_way.add(task)
                    task.add_done_callback(on_their_way.discard)
        finally:
            for task in on_their_way:
                task.cancel()

    def _delays_s(self, message: str) -> list[float]:
        """Return after how long each copy of a message is handed on."""
        if not self.is_unruly or not message.startswith(_CHANGES + _ANSWERS):
            return [0.0]
        chance = self._random.random
        if chance() < _LOST and message.startswith(_CHANGES):
            return []
        copies = 2 if chance() < _DOUBLED else 1
        return [chance() * _LONGEST_DELAY_S if chance() < _LATE else 0.0 for _ in range(copies)]

    def _is_cut_after(self, message: str) -> bool:
        if not (self.cuts_next_snapshot and message.startswith(_SNAPSHOT)):
            return False
        part = json.loads(message)
        if part["part"] == part["parts"]:
            return False
        self.cuts_next_snapshot = False
        self.snapshots_cut += 1
        return True


async def _hand_up(client: ServerConnection, server: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        async for message in client:
            await server.send(message)


async def _deliver(client: ServerConnection, message: str, delay_s: float = 0.0) -> None:
    if delay_s:
        await asyncio.sleep(delay_s)  # the delay is the fault itself
    with suppress(ConnectionClosed):
        await client.send(message)
