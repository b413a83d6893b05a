"""A program that stands in for a service: it answers every request with who it is and what it got.

`python -m tests.support.standin_server NAME` listens on HOST and PORT. `STANDIN=fail` ends it at once,
`STANDIN=stubborn` lets it ignore SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

EVENT_EVERY_S = 0.01


class Standin:
    """The stand-in's own side; `NAME` comes back in every answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners = 0

    async def serve(self, host: str, port: int) -> None:
        """Answer until SIGTERM."""
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        async with await asyncio.start_server(self._answer, host, port):
            await stopping.wait()
            if os.environ.get("STANDIN") == "stubborn":
                await asyncio.Event().wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = head.split(" ", 2)[1]
            await (self._stream(writer) if path == "/events" else self._describe(writer, path, headers, body))
        writer.close()

    async def _describe(self, writer: asyncio.StreamWriter, path: str, headers: dict[str, str], body: bytes) -> None:
        seen = {"name": self._name, "pid": os.getpid(), "path": path, "size": len(body), "listeners": self._listeners}
        answer = json.dumps({**seen, "headers": headers}).encode()
        kind = b"Content-Type: application/json\r\nConnection: close\r\nServer: s\r\nX-Content-Type-Options: none\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (kind, len(answer), answer))
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        self._listeners += 1
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            while True:
                writer.write(b"data: now\n\n")
                await writer.drain()
                await asyncio.sleep(EVENT_EVERY_S)
        finally:
            self._listeners -= 1


def main(name: str) -> int:
    """Be the stand-in; return the exit status."""
    if os.environ.get("STANDIN") == "fail":
        sys.stderr.write(f"{name} cannot find what it needs\n")
        return 3
    asyncio.run(Standin(name).serve(os.environ["HOST"], int(os.environ["PORT"])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
