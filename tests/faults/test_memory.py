"""A broadcaster among whose clients are some who never read: its memory stays where it is, and they are let go.

For ten minutes with 500 clients, of which 50 never read, with the curve in a file:

MEMORY_CLIENTS=500 MEMORY_SILENT=50 MEMORY_SECONDS=600 MEMORY_CHANGES_PER_S=5 MEMORY_WARM_UP=60 MEMORY_CURVE=curve.csv \
    .venv/bin/python -m pytest tests/faults/test_memory.py
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from shared.io.changelog.append import ChangeLog
from shared.io.redis import open_redis
from shared.names import Topic
from shared.operation import Draft, Operation
from shared.settings import load
from tests.support.broadcaster_process import BroadcasterProcess
from tests.support.log import open_log
from tests.support.logins import create_login, fresh_token
from tests.support.sync_client import SUBPROTOCOL

WORKSPACE = "w_first"
SERVERS = Topic(WORKSPACE, "servers")
RECORDS = 20
READY_WITHIN_S = 30.0
DROPPED_WITHIN_S = 90.0
"""By when the last of those who never read has been let go: the broadcaster gives each half a minute."""

LOOK_S = 0.5
SMALL_BUFFER_BYTES = 8_192


class Dimensions(msgspec.Struct, frozen=True):
    """How many clients, how many of them never read, for how long, and what they are sent.

    `growth_bytes` is how much the process may grow after `warm_up_s`, in which its ring of recent changes is filled.
    """

    clients: int = msgspec.field(name="MEMORY_CLIENTS", default=60)
    silent: int = msgspec.field(name="MEMORY_SILENT", default=10)
    seconds: float = msgspec.field(name="MEMORY_SECONDS", default=15)
    warm_up_s: float = msgspec.field(name="MEMORY_WARM_UP", default=8)
    record_bytes: int = msgspec.field(name="MEMORY_RECORD_BYTES", default=50_000)
    changes_per_s: float = msgspec.field(name="MEMORY_CHANGES_PER_S", default=20)
    growth_bytes: int = msgspec.field(name="MEMORY_GROWTH_BYTES", default=12_000_000)
    curve: str = msgspec.field(name="MEMORY_CURVE", default="")


class Reader:
    """A client that reads everything, and counts it."""

    def __init__(self) -> None:
        self.frames = 0
        self.ready = asyncio.Event()

    async def run(self, url: str) -> None:
        """Read until cancelled; raises ConnectionClosed where the server ends it."""
        async with _subscribed(url) as connection:
            async for _ in connection:
                self.frames += 1
                self.ready.set()
        raise AssertionError("a client that reads was let go")


class Silent:
    """A client that asks for a topic and never reads; once it is let go, it comes back and does so again."""

    def __init__(self) -> None:
        self.times_dropped = 0

    async def run(self, url: str) -> None:
        """Go on until cancelled."""
        address = urlsplit(url)
        while True:
            was_in = False
            with suppress(ConnectionClosed, InvalidHandshake, OSError):
                wire = socket.socket()
                # what the kernel takes in for it would be as good as read
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
                wire.setblocking(False)  # noqa: FBT003  (its only argument)
                await asyncio.get_running_loop().sock_connect(wire, (address.hostname, address.port))
                async with _subscribed(url, wire) as connection:
                    was_in = True
                    while True:
                        # who does not read notices the end only when it says something
                        await connection.ping()
                        await asyncio.sleep(LOOK_S)
            self.times_dropped += was_in


@asynccontextmanager
async def _subscribed(url: str, wire: socket.socket | None = None) -> AsyncIterator[ClientConnection]:
    async with connect(
        url,
        subprotocols=[SUBPROTOCOL],
        compression=None,
        proxy=None,
        ping_interval=None,
        close_timeout=0.1,
        open_timeout=READY_WITHIN_S,
        max_queue=1,
        sock=wire,
    ) as connection:
        await connection.send(json.dumps({"op": "auth", "token": await fresh_token()}))
        assert json.loads(await connection.recv())["op"] == "welcome"
        await connection.send(json.dumps({"op": "subscribe", "topic": SERVERS.resource, "workspace": WORKSPACE}))
        yield connection


class Memory:
    """The curve of a process's resident memory, in bytes by seconds since the start."""

    def __init__(self, pid: int) -> None:
        self.curve: list[tuple[float, int]] = []
        self._process = psutil.Process(pid)
        self._began = time.monotonic()

    async def watch(self) -> None:
        """Look regularly until cancelled."""
        while True:
            self.curve.append((time.monotonic() - self._began, self._process.memory_info().rss))
            await asyncio.sleep(LOOK_S)

    def growth_bytes(self, warm_up_s: float) -> int:
        """Return by how much it was ever larger than when it was warm."""
        warm = [rss for at_s, rss in self.curve if at_s >= warm_up_s]
        return max(warm) - warm[0]

    def describe(self) -> str:
        """Write the curve as lines of seconds and bytes."""
        return "".join(f"{at_s:.1f},{rss}\n" for at_s, rss in self.curve)


async def keep_changing(redis: Redis, dimensions: Dimensions) -> None:
    """Change one record after the other at a steady rate until cancelled."""
    changes, number = ChangeLog(redis), 0
    data = json.dumps({"padding": "x" * dimensions.record_bytes}).encode()
    while True:
        draft = Draft(id=f"r{number % RECORDS}", action="put", data=data)
        await changes.append(Operation(topic=SERVERS, drafts=(draft,), actor="test"))
        number += 1
        await asyncio.sleep(1 / dimensions.changes_per_s)  # the rate of the load


@asynccontextmanager
async def broadcasting(environment: Mapping[str, str], log: Path) -> AsyncIterator[BroadcasterProcess]:
    process = BroadcasterProcess(environment, log)
    process.start()
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while not await asyncio.to_thread(process.is_ready):
                await asyncio.sleep(LOOK_S)
        yield process
    finally:
        process.kill()


async def test_those_who_never_read_cost_a_bounded_memory_and_are_let_go(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    dimensions = load(Dimensions, os.environ)
    await create_login(database_url, [WORKSPACE])
    redis = open_redis(redis_url)
    await open_log(redis)
    readers = [Reader() for _ in range(dimensions.clients - dimensions.silent)]
    silent = [Silent() for _ in range(dimensions.silent)]
    environment = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "MAX_CONNECTIONS_PER_USER": str(2 * dimensions.clients),
    }
    async with broadcasting(environment, tmp_path / "broadcaster.log") as broadcaster:
        memory = Memory(broadcaster.pid)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(keep_changing(redis, dimensions))]
                tasks += [group.create_task(reader.run(broadcaster.url)) for reader in readers]
                tasks += [group.create_task(client.run(broadcaster.url)) for client in silent]
                async with asyncio.timeout(READY_WITHIN_S):
                    await asyncio.gather(*(reader.ready.wait() for reader in readers))
                memory = Memory(broadcaster.pid)
                tasks.append(group.create_task(memory.watch()))
                await asyncio.sleep(dimensions.seconds)  # the time under load is what is tested
                async with asyncio.timeout(DROPPED_WITHIN_S):
                    while not all(client.times_dropped for client in silent):
                        await asyncio.sleep(LOOK_S)
                    before = [reader.frames for reader in readers]
                    while any(reader.frames == frames for reader, frames in zip(readers, before, strict=True)):
                        await asyncio.sleep(LOOK_S)
                counted = await asyncio.to_thread(broadcaster.get, "/metrics")
                for task in tasks:
                    task.cancel()
        finally:
            if dimensions.curve:
                Path(dimensions.curve).write_text(memory.describe())
            await redis.aclose()
    closes = [line for line in counted.splitlines() if line.startswith("muster_broadcaster_closes_total{")]
    assert any('code="4408"' in line for line in closes), closes
    assert memory.growth_bytes(dimensions.warm_up_s) <= dimensions.growth_bytes, memory.describe()
