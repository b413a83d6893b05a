"""Agent streams: samples a second of one ingest process on one core, and its memory for each connection.

    python -m bench.streams [--seconds 8] [--idle 10000]

What it is compared with is a bare ASGI WebSocket handler that only decodes and answers, under uvicorn as it comes.
Set up as `bench.ingest` is, and by turns likewise.
"""

import argparse
import asyncio
import os
import resource
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

import msgspec
import psutil
import uvicorn
import uvloop

from bench import ingest
from bench.ingest import AGENTS, Rate, Served, pinned, secret
from bench.stream_load import Stream, connect
from shared.io.probes import Receive, Scope, Send
from shared.resources.metrics import Sample
from stack.ports import LoopbackPorts

STREAMS = 512
AT_ONCE = 25
"""So many shake hands together: more would be told to come again."""
UNANSWERED = 4
"""How many messages of a stream are under way at once; the document allows 8."""

TURN_S = 0.5
RATE_TARGET = 30_000
SHARE_TARGET = 0.65
IDLE_TARGET_KB = 25
_SETTLE_S = 5.0


class _Message(msgspec.Struct):
    op: str
    seq: int
    samples: list[Sample] = []


_decode = msgspec.json.Decoder(_Message).decode


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Decode each message, answer it, and no more."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 426, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "muster.agent.v1"})
    while (event := await receive())["type"] == "websocket.receive":
        message = _decode(event["text"])
        await send({"type": "websocket.send", "text": f'{{"op":"ack","seq":{message.seq},"accepted":1,"rejected":[]}}'})


def serve_bare(port: int) -> None:
    """Serve the bare handler as fast as uvicorn can."""
    options: dict[str, Any] = {"http": "httptools", "ws": "websockets-sansio", "lifespan": "off", "log_config": None}
    config = uvicorn.Config(
        bare, port=port, access_log=False, server_header=False, ws_per_message_deflate=False, **options
    )
    uvloop.run(uvicorn.Server(config).serve())


class Crowd:
    """Streams that each keep some messages under way until they are told to stop."""

    def __init__(self) -> None:
        self._streams: list[Stream] = []
        self._seqs: dict[str, int] = {}
        self._until_s = 0.0
        self._under_way = 0
        self._idle = asyncio.Event()
        self._sample = ingest.SAMPLE

    async def open(self, port: int, count: int) -> None:
        """Open so many streams, some at a time."""
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            self._streams += await asyncio.gather(
                *(connect(port, secret(n), f"streams-{port}-{n}", self._answered) for n in numbers)
            )

    async def run(self, seconds: float) -> tuple[int, float]:
        """Return how many samples were acknowledged, and in how many seconds."""
        before = sum(stream.acks for stream in self._streams)
        began_s = time.perf_counter()
        self._until_s = began_s + seconds
        self._idle.clear()
        for stream in self._streams:
            for _ in range(UNANSWERED):
                self._send(stream)
        async with asyncio.timeout(seconds + 30):
            await self._idle.wait()
        took_s = time.perf_counter() - began_s
        for stream in self._streams:
            if stream.has_ended.done():
                stream.has_ended.result()
        return sum(stream.acks for stream in self._streams) - before, took_s

    def close(self) -> None:
        """Hang up."""
        for stream in self._streams:
            stream.close()

    def _answered(self, stream: Stream) -> None:
        self._under_way -= 1
        if time.perf_counter() < self._until_s:
            self._send(stream)
        elif not self._under_way:
            self._idle.set()

    def _send(self, stream: Stream) -> None:
        seq = self._seqs[stream.boot_id] = self._seqs.get(stream.boot_id, ingest.FIRST_SEQ) + 1
        self._under_way += 1
        stream.send(self._sample.replace(b"BOOT", stream.boot_id.encode()) % seq)


async def rates(servers: Sequence[Served], turns: int) -> list[Rate]:
    """Return the rate of each server, as the median of its turns; the first one warms up."""
    found: list[list[Rate]] = [[] for _ in servers]
    crowds = [Crowd() for _ in servers]
    for server, crowd in zip(servers, crowds, strict=True):
        await crowd.open(server.port, STREAMS)
    for turn in range(turns + 1):
        for server, crowd, own in zip(servers, crowds, found, strict=True):
            before_s = server.cpu_s()
            samples, took_s = await crowd.run(TURN_S)
            if turn:
                own.append(Rate(samples / took_s, samples / (server.cpu_s() - before_s)))
    for crowd in crowds:
        crowd.close()
    return [Rate(*(median(column) for column in zip(*own, strict=True))) for own in found]


async def idle_kb(server: Served, count: int) -> float:
    """Return the memory that each of so many idle streams costs a server, in kB."""
    process = psutil.Process(server.process.pid)
    warm, crowd = Crowd(), Crowd()
    # what a server takes for its first connections, it does not take for each
    await warm.open(server.port, 200)
    await asyncio.sleep(_SETTLE_S)
    before: int = process.memory_info().rss
    await crowd.open(server.port, count)
    await asyncio.sleep(_SETTLE_S)
    after: int = process.memory_info().rss
    crowd.close()
    warm.close()
    return (after - before) / count / 1000


def main() -> None:
    """Run the benchmark on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_bare:
        serve_bare(int(os.environ["PORT"]))
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    agents = max(AGENTS, arguments.idle + 200)
    with ExitStack() as stack:
        environment = stack.enter_context(ingest.servers(agents))
        ports = LoopbackPorts()
        turns = max(2, int(arguments.seconds / (2 * TURN_S)))
        bare_server = stack.enter_context(pinned(["bench.streams", "--serve-bare"], ports.take(), {}))
        own_server = stack.enter_context(pinned(["services.ingest"], ports.take(), environment))
        theirs, ours = uvloop.run(rates([bare_server, own_server], turns))
        print("samples a second over streams        by the clock   by its processor time")
        for name, rate in (("bare WebSocket handler", theirs), ("ingest", ours)):
            print(f"{name:35} {rate.wall:>14,.0f} {rate.cpu:>14,.0f}")
        print(
            f"ingest to the bare handler          {ours.wall / theirs.wall:>14.0%} {ours.cpu / theirs.cpu:>14.0%}"
            f"   (target: at least {RATE_TARGET:,}/s or {SHARE_TARGET:.0%})"
        )
        fresh = stack.enter_context(pinned(["services.ingest"], ports.take(), environment))
        one_kb = uvloop.run(idle_kb(fresh, arguments.idle))
        print(f"memory of an idle stream, of {arguments.idle:,}: {one_kb:.1f} kB (target: at most {IDLE_TARGET_KB} kB)")


if __name__ == "__main__":
    main()
