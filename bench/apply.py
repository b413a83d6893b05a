"""Applying the change log to PostgreSQL: the applier against the bare statements, and against one arq job a change.

    python -m bench.apply [--rounds 3]

Records: 100,000 changes of as many servers in change sets of 100. History: 100,000 samples of 100 servers, likewise.
The bare statements get the same rows ready-made, 1,000 a transaction, on one connection: for records the upsert, and
with it the COPY of the journal, in which every change is an event.
"""

import argparse
import asyncio
import datetime as dt
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import msgspec
from arq.connections import RedisSettings, create_pool
from arq.worker import Worker
from redis.asyncio import Redis

from services.worker.projection import EVENT_COLUMNS, HISTORY_COLUMNS, event_rows, history_rows, upsert_sql
from shared.change import Change, ChangeSet
from shared.io.changelog.append import ChangeLog
from shared.io.database.pool import connect
from shared.io.redis import open_redis
from shared.names import Topic, partition_of
from shared.operation import Draft, Operation
from shared.position import Position
from shared.resources import SERVERS
from shared.resources.metrics import Sample
from shared.resources.servers import Server
from tests.support.applier import checkpoint, running_appliers, until
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

CHANGES, SET, TRANSACTION, JOBS = 100_000, 100, 1_000, 500
WORKSPACE = "w_bench"
PARTITION = partition_of(WORKSPACE)
NOW = dt.datetime.now(dt.UTC)


def server_drafts() -> list[Draft]:
    """Return one change each of 100,000 servers, about 450 B."""
    data = msgspec.json.encode(Server(name="web-1", hostname="web-1.example", machine_id="0" * 32, tags=("web", "eu")))
    return [Draft(id=f"s_{i}", action="put", data=data) for i in range(CHANGES)]


def sample_drafts() -> list[Draft]:
    """Return samples of 100 servers with every number that an agent sends."""
    numbers: dict[str, Any] = dict.fromkeys(Sample.__struct_fields__[3:23], 12345) | {"cpu_percent": 12.5}
    return [
        Draft(
            id=f"s_{i % 100}",
            action="put",
            data=msgspec.json.encode(Sample(ts=NOW + dt.timedelta(seconds=i / 1000), boot_id="b", seq=i, **numbers)),
        )
        for i in range(CHANGES)
    ]


async def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that an awaitable takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def bare_upsert(database: asyncpg.Connection, drafts: Sequence[Draft], *, journal: bool) -> float:
    """Return seconds for the generated upsert, fed with ready JSON arrays, alone or with the journal's COPY."""
    rows = [
        b'{"workspace_id":"w_bare","id":"%b","version":%d,' % (draft.id.encode(), version) + draft.data[1:]
        for version, draft in enumerate(drafts, 1)
    ]
    arrays = [b"[" + b",".join(part) + b"]" for part in _batched(rows, TRANSACTION)]
    events = _batched(list(event_rows(change_set(drafts))), TRANSACTION)

    async def work() -> None:
        for array, part in zip(arrays, events, strict=True):
            async with database.transaction():
                await database.execute(upsert_sql(SERVERS), array)
                if journal:
                    await database.copy_records_to_table("ws_events", records=part, columns=EVENT_COLUMNS)

    took_s = await timed(work)
    for table in ("servers", "ws_events"):
        await database.execute(f"DELETE FROM {table} WHERE workspace_id = 'w_bare'")  # noqa: S608  (two names)
    return took_s


def change_set(drafts: Sequence[Draft]) -> ChangeSet:
    """Return the entry of the log that drafts would make."""
    changes = (Change(draft.id, "updated", n, msgspec.Raw(draft.data)) for n, draft in enumerate(drafts, 1))
    topic = Topic("w_bare", "servers")
    return ChangeSet(Position(1, 1), topic, 0, len(drafts), time.time_ns() // 1_000_000, "bench", "", tuple(changes))


async def bare_copy(database: asyncpg.Connection, drafts: Sequence[Draft]) -> float:
    """Return seconds for COPY alone, fed with ready rows."""
    rows = list(history_rows(WORKSPACE, (Change(d.id, "updated", 1, msgspec.Raw(d.data)) for d in drafts)))

    async def work() -> None:
        for part in _batched(rows, TRANSACTION):
            await database.copy_records_to_table("metrics_history", records=part, columns=HISTORY_COLUMNS)

    return await timed(work)


async def applier(redis: Redis, database: asyncpg.Connection, url: str, topic: Topic, drafts: Sequence[Draft]) -> float:
    """Return seconds from the applier's start to the commit of the last of these changes, read from the log."""
    changes = ChangeLog(redis)
    for number, part in enumerate(_batched(drafts, SET)):
        result = await changes.append(
            Operation(topic=topic, drafts=tuple(part), actor="bench", id=f"{topic.resource}-{time.time_ns()}-{number}")
        )

    async def done() -> bool:
        return await checkpoint(database, PARTITION) == str(result.position)

    async def work() -> None:
        async with running_appliers(redis, url, partitions=(PARTITION,)):
            await until(done)
            took.append(time.perf_counter())

    took: list[float] = []
    began = time.perf_counter()
    await work()
    return took[0] - began


async def upsert_one(ctx: dict[str, Any], version: int) -> None:
    """Do as an arq job what the applier does for one change."""
    draft = ctx["drafts"][version]
    row = b'[{"workspace_id":"w_arq","id":"%b","version":%d,' % (draft.id.encode(), version) + draft.data[1:] + b"]"
    await ctx["database"].execute(upsert_sql(SERVERS), row)


async def arq_jobs(redis_url: str, database: asyncpg.Connection, drafts: Sequence[Draft]) -> float:
    """Return seconds a change when each is one arq job, worked off by one worker in burst mode."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    for version in range(JOBS):
        await pool.enqueue_job("upsert_one", version)
    worker = Worker(
        functions=[upsert_one],
        redis_pool=pool,
        ctx={"database": database, "drafts": drafts},
        burst=True,
        handle_signals=False,
        keep_result=0,
        max_jobs=1,
        poll_delay=0.001,
    )
    seconds = await timed(worker.async_run)
    await worker.close()
    return seconds / JOBS


def _batched(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


async def measure(redis_url: str, database_url: str, rounds: int) -> None:
    """Print the rates as medians, and the ratios of neighbours in time."""
    redis, database = open_redis(redis_url), await connect(database_url)
    await database.fetchval("SELECT ensure_metrics_day($1)", NOW.date())
    async with running_appliers(redis, database_url):
        pass
    servers, samples = server_drafts(), sample_drafts()
    results = [
        (
            CHANGES / await bare_upsert(database, servers, journal=False),
            CHANGES / await bare_upsert(database, servers, journal=True),
            CHANGES / await applier(redis, database, database_url, Topic(WORKSPACE, "servers"), servers),
            CHANGES / await bare_copy(database, samples),
            CHANGES / await applier(redis, database, database_url, Topic(WORKSPACE, "metrics"), samples),
            1 / await arq_jobs(redis_url, database, servers),
        )
        for _ in range(rounds)
    ]
    await database.close()
    await redis.aclose()
    upsert, journal, records, copy, history, jobs = (median(column) for column in zip(*results, strict=True))
    print(f"bare upsert                 {upsert:>10,.0f} rows/s")
    print(f"with the journal's COPY     {journal:>10,.0f} rows/s")
    print(f"applier, records            {records:>10,.0f} changes/s")
    print(f"  ratio to both             {median(r[2] / r[1] for r in results):>10.0%}   (target: at least 50%)")
    print(f"  ratio to the upsert       {median(r[2] / r[0] for r in results):>10.0%}")
    print(f"bare COPY                   {copy:>10,.0f} rows/s")
    print(f"applier, history            {history:>10,.0f} samples/s")
    print(f"  ratio                     {median(r[4] / r[3] for r in results):>10.0%}   (target: at least 50%)")
    print(f"one arq job a change        {jobs:>10,.0f} changes/s")
    print(f"  ratio                     {median(r[2] / r[5] for r in results):>9.0f}x   (target: at least 20x)")


async def run(rounds: int) -> None:
    """Measure on servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = ValkeyServer(Path(folder) / "valkey", durable=True)
        valkey.start()
        postgres = await PostgresServer.create(Path(folder) / "postgres")
        try:
            async with postgres.new_database() as url:
                await measure(valkey.url, url, rounds)
        finally:
            postgres.stop()
            valkey.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(run(parser.parse_args().rounds))
