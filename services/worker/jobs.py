"""What may run late or twice: upkeep as arq crons. Correctness never rests on it."""

import asyncio
import datetime as dt
from typing import Any

import msgspec
import structlog
from arq import cron
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker
from asyncpg import Pool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.worker.history_retention import forget_history
from services.worker.present import read_present
from services.worker.retention import forget_events
from services.worker.rollups import roll_up
from shared.io.database.queries import queries
from shared.settings import History, Journal

log = structlog.get_logger(__name__)

_SLICE = 10_000
_DAYS_AHEAD = 3
_PAUSE_S = 1.0


async def make_history_days(ctx: dict[str, Any]) -> None:
    """Make the history's partitions for today and the days to come."""
    today = dt.datetime.now(dt.UTC).date()
    for ahead in range(_DAYS_AHEAD + 1):
        await queries("applier").ensure_metrics_day(ctx["pool"], day=today + dt.timedelta(days=ahead))


async def forget_operations(ctx: dict[str, Any]) -> None:
    """Delete operations that are remembered no longer, in slices that hold no lock for long."""
    while await queries("checkpoints").forget_operations(ctx["pool"], slice=_SLICE) == _SLICE:
        pass


async def forget_old_events(ctx: dict[str, Any]) -> None:
    """Delete events that are kept no longer; what a run does not get done in its time, the next one does."""
    await forget_events(ctx["pool"], ctx["journal"], await ctx["pool"].fetchval("SELECT now()"))


async def roll_up_metrics(ctx: dict[str, Any]) -> None:
    """Roll the history up; what a run does not get done in its time, the next one does."""
    await roll_up(ctx["pool"], (await read_present(ctx["pool"])).moment)


async def forget_old_metrics(ctx: dict[str, Any]) -> None:
    """Drop history that is kept no longer."""
    present = await read_present(ctx["pool"])
    if not present.is_confirmed:
        log.warning(
            "nothing is heard that is as new as the clock: what is kept counts from there", present=str(present)
        )
    await forget_history(ctx["pool"], ctx["history"], present.moment)


async def forget_lost_inventories(ctx: dict[str, Any]) -> None:
    """Delete the inventories of servers that are no more."""
    await queries("inventories").forget_lost(ctx["pool"])


class Jobs:
    """Runs arq in this process; it starts over when Redis was away."""

    def __init__(self, redis_url: str, pool: Pool, journal: Journal, history: History) -> None:
        self._settings = RedisSettings.from_dsn(redis_url)
        self._settings.retry = Retry(ExponentialBackoff(cap=1, base=0.05), 5)
        self._settings.retry_on_error = [RedisConnectionError, RedisTimeoutError]
        self._pool = pool
        self._journal = journal
        self._history = history

    async def run(self, stopping: asyncio.Event) -> None:
        """Run jobs until `stopping`."""
        while not stopping.is_set():
            try:
                redis = await create_pool(
                    self._settings, job_serializer=msgspec.msgpack.encode, job_deserializer=msgspec.msgpack.decode
                )
                await self._run_worker(redis, stopping)
            except (RedisError, OSError) as error:
                log.warning("jobs start over", reason=repr(error))
                await asyncio.sleep(_PAUSE_S)

    async def _run_worker(self, redis: ArqRedis, stopping: asyncio.Event) -> None:
        worker = Worker(
            redis_pool=redis,
            cron_jobs=[
                cron(make_history_days, hour=None, minute=17, run_at_startup=True),
                cron(forget_operations, hour=None, minute=37),
                cron(forget_old_events, hour=None, minute=set(range(3, 60, 10))),
                cron(roll_up_metrics, hour=None, minute=None, second=5),
                cron(forget_old_metrics, hour=None, minute=set(range(7, 60, 20)), run_at_startup=True),
                cron(forget_lost_inventories, hour=None, minute=27),
            ],
            ctx={"pool": self._pool, "journal": self._journal, "history": self._history},
            handle_signals=False,
            keep_result=0,
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
        )
        working = asyncio.create_task(worker.async_run())
        asked = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([working, asked], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            asked.cancel()
            working.cancel()
            await asyncio.wait([working])
            await worker.close()
