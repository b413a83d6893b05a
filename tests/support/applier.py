"""Runs the real appliers inside a test, and waits for what they did."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from asyncpg import Connection
from redis.asyncio import Redis

from services.worker.applier import Applier
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import PARTITIONS

DEADLINE_S = 10.0


@contextlib.asynccontextmanager
async def running_appliers(
    redis: Redis, database_url: str, *, partitions: tuple[int, ...] = tuple(range(PARTITIONS))
) -> AsyncIterator[None]:
    """Run the appliers of these partitions until the block ends; the log is open when it begins."""
    stopping = asyncio.Event()
    appliers = [Applier(redis, ChangeLog(redis), database_url, p, offline_after_ms=60_000) for p in partitions]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(applier.run(stopping)) for applier in appliers]
        try:
            if len(partitions) == PARTITIONS:
                await until(LogReader(redis).check_open)
            yield
        finally:
            stopping.set()
            await asyncio.wait(tasks)


async def until(check: Callable[[], Awaitable[object]], *, timeout_s: float = DEADLINE_S) -> None:
    """Wait until `check` neither raises nor returns False; its last error is the test's when time runs out."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        try:
            if await check() is not False:
                return
            error: Exception = AssertionError(f"{check} stayed False")
        except Exception as raised:  # noqa: BLE001  (whatever it is, it is what the test fails with)
            error = raised
        if loop.time() > deadline:
            raise error
        await asyncio.sleep(0.01)


async def checkpoint(connection: Connection, partition: int) -> str:
    """Return the checkpoint of a partition as `<epoch>-<seq>`."""
    return str(await connection.fetchval("SELECT epoch || '-' || seq FROM checkpoints WHERE partition = $1", partition))
