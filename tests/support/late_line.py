"""A TCP proxy before a server, which holds back what the server says for as long as a test wants it to."""

import asyncio
import threading
from contextlib import suppress


class LateLine:
    """Stands before the server at a port of this machine, in a thread of its own; nothing is lost, it only comes late.

    Who reads a log over it falls behind while it is held, and knows nothing of that.
    """

    def __init__(self, target: int) -> None:
        self.is_held = False
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._ways: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        """Keep from now on what the server says."""
        self.is_held = True
        self._loop.call_soon_threadsafe(self._flows.clear)

    def release(self) -> None:
        """Hand on what was kept, and what comes."""
        self.is_held = False
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self) -> None:
        """End every connection."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for way in self._ways:
            way.cancel()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            ways = {
                asyncio.create_task(_hand_on(client, to_server, None)),
                asyncio.create_task(_hand_on(server, to_client, self._flows)),
            }
            self._ways |= ways
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self._ways -= ways
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            to_server.close()
        to_client.close()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event | None) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            if flows is not None:
                await flows.wait()
            writer.write(data)
            await writer.drain()
