"""Streams of agents: samples a second of one process of ingest, against a bare WebSocket handler that only decodes.

    python -m bench.streams [--seconds 8] [--idle 2000]

The handler runs under uvicorn's own WebSocket, ingest as it is; else everything is as in `bench.ingest`. Each stream
has one message with one sample under way. Then so many streams stand idle, and what each of them
adds to the memory of the process is printed.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import cast

import msgspec
import uvicorn
import uvloop

from bench.ingest import _SAMPLE, AGENTS, TURN_S, Rate, Served, pinned, prepare, secret
from shared.io.probes import Receive, Scope, Send
from shared.resources.metrics import Sample
from stack.ports import LoopbackPorts
from tests.support.postgres import TEMPLATE, PostgresServer
from tests.support.valkey import ValkeyServer

STREAMS = 1024
UNDER_WAY = 1
TARGET = 0.65
TARGET_IDLE_BYTES = 25_000
_MASK = b"\x00\x00\x00\x00"  # a mask that changes nothing is one, too
_HANDSHAKE = b'{"op":"handshake","seq":1,"boot_id":"boot"}'
_SWITCHED = b"HTTP/1.1 101"


class Metrics(msgspec.Struct):
    """A message, as the bare handler decodes it."""

    seq: int
    samples: list[Sample]


_decode = msgspec.json.Decoder(Metrics).decode


async def bare(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  (ASGI's form)
    """Decode each message and acknowledge it, and no more."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        text = event["text"]
        if '"handshake"' in text:
            await send({"type": "websocket.send", "text": '{"op":"config"}'})
            await send({"type": "websocket.send", "text": '{"op":"ack","seq":1}'})
            continue
        message = _decode(text)
        answer = f'{{"op":"ack","seq":{message.seq},"accepted":{len(message.samples)},"rejected":[]}}'
        await send({"type": "websocket.send", "text": answer})


def framed(payload: bytes) -> bytes:
    """Return a text message as a client sends it, of 126 bytes to 64 kB or less than 126."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2)  # noqa: PLR2004  (RFC 6455, 5.2)
    return head + _MASK + payload


class _Stream(asyncio.Protocol):
    """Keeps messages under way until it is told to stop; counts acknowledgements without reading them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sample = _SAMPLE.replace(b"BOOT", b"boot")
        self._seq = 1
        self._under_way = 0
        self._until_s = 0.0
        self._head = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            b"GET /ingest/v1/ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % secret(self.number % AGENTS)
        )

    def start(self, until_s: float) -> asyncio.Future[None]:
        """Send messages until then; the future is done when the last is acknowledged."""
        self.answers, self._until_s = 0, until_s
        self.ready = asyncio.get_running_loop().create_future()
        for _ in range(UNDER_WAY):
            self._send()
        return self.ready

    def data_received(self, data: bytes) -> None:
        if not self._until_s:
            self._introduce(data)
            return
        count = data.count(b'"accepted":1,')
        if b'"error"' in data or not count:
            self._fail(data)
            return
        self.answers += count
        self._under_way -= count
        if time.perf_counter() < self._until_s:
            for _ in range(count):
                self._send()
        elif not self._under_way and not self.ready.done():
            self.ready.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("the server closed the stream"))

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _introduce(self, data: bytes) -> None:
        if not self._head:
            if not data.startswith(_SWITCHED):
                self._fail(data)
                return
            self._transport.write(framed(_HANDSHAKE))
        self._head += data
        if b'"ack"' in self._head and not self.ready.done():
            self.ready.set_result(None)

    def _send(self) -> None:
        self._seq += 1
        self._under_way += 1
        self._transport.write(
            framed(b'{"op":"metrics","seq":%d,"samples":[%b]}' % (self._seq, self._sample % self._seq))
        )

    def _fail(self, data: bytes) -> None:
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(f"refused: {data[:500]!r}"))


async def connect(port: int, numbers: Sequence[int]) -> list[_Stream]:
    """Open streams of these agents, some at a time, and shake hands."""
    loop, streams = asyncio.get_running_loop(), []
    for first in range(0, len(numbers), 32):
        part = [
            (await loop.create_connection(lambda number=number: _Stream(number), "127.0.0.1", port))[1]  # type: ignore[misc]  # the default binds the loop's variable
            for number in numbers[first : first + 32]
        ]
        await asyncio.gather(*(stream.ready for stream in part))
        streams += part
    return streams


async def measure(servers: Sequence[Served], turns: int) -> list[Rate]:
    """Return the rate of each server, as the median of its turns; the first one warms up."""
    loads = [await connect(server.port, range(STREAMS)) for server in servers]
    rates: list[list[Rate]] = [[] for _ in servers]
    for turn in range(turns + 1):
        for server, streams, own in zip(servers, loads, rates, strict=True):
            before_s, began_s = server.cpu_s(), time.perf_counter()
            await asyncio.gather(*(stream.start(began_s + TURN_S) for stream in streams))
            took_s = time.perf_counter() - began_s
            answers = sum(stream.answers for stream in streams)
            if turn:
                own.append(Rate(answers / took_s, answers / (server.cpu_s() - before_s)))
    for streams in loads:
        for stream in streams:
            stream.close()
    return [Rate(*(median(column) for column in zip(*own, strict=True))) for own in rates]


async def idle_bytes(server: Served, count: int) -> float:
    """Return what a stream that says nothing adds to the memory of ingest."""
    warm = await connect(server.port, range(64))  # whatever is made once
    for stream in warm:
        stream.close()
    await asyncio.sleep(3)
    before = server.process.memory_info().rss
    streams = await connect(server.port, range(count))
    await asyncio.sleep(2)
    added: int = server.process.memory_info().rss - before
    for stream in streams:
        stream.close()
    return added / count


def report(servers: Sequence[Served], seconds: float, idle: int) -> None:
    """Measure, and print the rates, their ratio, and the memory."""
    each = uvloop.run(idle_bytes(servers[1], idle))  # first: later there would be memory to be used again
    plain, ours = uvloop.run(measure(servers, max(1, int(seconds / (2 * TURN_S)))))
    print("samples over streams a second        by the clock   by its processor time")
    for name, rate in (("bare handler", plain), ("ingest", ours)):
        print(f"{name:35} {rate.wall:>14,.0f} {rate.cpu:>14,.0f}")
    print(
        f"ingest, to the bare handler         {ours.wall / plain.wall:>14.0%} {ours.cpu / plain.cpu:>14.0%}"
        f"   (target: at least {TARGET:.0%}, or 30,000/s)"
    )
    print(
        f"memory of an idle stream, of {idle}: {each / 1000:.1f} kB   (target: at most {TARGET_IDLE_BYTES / 1000} kB)"
    )


def main() -> None:
    """Run the benchmark on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--idle", type=int, default=AGENTS - 48)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_bare:
        uvicorn.run(bare, port=int(os.environ["PORT"]), ws="websockets-sansio", log_level="warning", lifespan="off")
        return
    ports = LoopbackPorts()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {0} or cores)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = ValkeyServer(folder / "valkey", durable=False)
        valkey.start()
        stack.callback(valkey.stop)
        postgres = asyncio.run(PostgresServer.create(folder / "postgres"))
        stack.callback(postgres.stop)
        database_url = postgres.database_url(TEMPLATE)
        asyncio.run(prepare(valkey.url, database_url))
        environment = {"REDIS_URL": valkey.url, "DATABASE_URL": database_url, "AGENT_SAMPLES_AT_ONCE": "1000000000"}
        servers = [
            stack.enter_context(pinned(["bench.streams", "--serve-bare"], ports.take(), {})),
            stack.enter_context(pinned(["services.ingest"], ports.take(), environment)),
        ]
        report(servers, arguments.seconds, arguments.idle)


if __name__ == "__main__":
    main()
