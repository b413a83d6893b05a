"""The applier of a partition: waits for the partition's lock, works while it holds it, starts over when it is lost.

One applier is effective for each partition: it holds an advisory lock on the connection that it commits through, and a
fence that every commit checks.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import asyncpg
import structlog
from asyncpg import Connection
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.worker.tenure import Tenure
from shared.errors import RetryLater
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.guardian import Guardian, Overtaken
from shared.io.database.pool import connect
from shared.io.faults import LOST_CONNECTION

log = structlog.get_logger(__name__)

_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOCK_PAUSE_S = 1.0
_GOOD_TENURE_S = 10.0


class Applier:
    """Applies one partition; `run` is a background task of the worker process."""

    def __init__(
        self, redis: Redis, changes: ChangeLog, database_url: str, partition: int, *, offline_after_ms: int
    ) -> None:
        self._redis = redis
        self._changes = changes
        self._database_url = database_url
        self._partition = partition
        self._offline_after_ms = offline_after_ms

    async def run(self, stopping: asyncio.Event) -> None:
        """Apply until `stopping`; what fails in passing is tried again, with pauses that grow."""
        failures = 0
        while not stopping.is_set():
            began = time.monotonic()
            try:
                async with self._connection() as connection:
                    tenure = await self._take_over(connection, stopping)
                    if tenure is not None:
                        try:
                            await _work(tenure, stopping)
                        finally:
                            await tenure.aclose()
            except (*LOST_CONNECTION, asyncpg.PostgresError, Overtaken) as error:
                log.warning("applier starts over", partition=self._partition, reason=repr(error))
                failures = 0 if time.monotonic() - began > _GOOD_TENURE_S else failures + 1
                await _pause(stopping, _PAUSES_S[min(failures, len(_PAUSES_S) - 1)])

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await connect(self._database_url)
        try:
            yield connection
        finally:
            # the lock goes with the connection, in whatever state that is
            connection.terminate()

    async def _take_over(self, connection: Connection, stopping: asyncio.Event) -> Tenure | None:
        guardian = Guardian(self._redis, connection, self._partition, offline_after_ms=self._offline_after_ms)
        while not stopping.is_set():
            checkpoint = await guardian.try_take_over()
            if checkpoint is not None:
                log.info("partition taken", partition=self._partition, checkpoint=str(checkpoint.position))
                return Tenure(self._redis, self._changes, connection, guardian, checkpoint)
            await _pause(stopping, _LOCK_PAUSE_S)
        return None


async def _work(tenure: Tenure, stopping: asyncio.Event) -> None:
    failures = 0
    while not stopping.is_set():
        try:
            await tenure.step()
            failures = 0
        except (RedisError, RetryLater) as error:
            log.warning("log is away", reason=repr(error))
            await tenure.distrust()
            await _pause(stopping, _PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1


async def _pause(stopping: asyncio.Event, pause_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), pause_s)
