"""The history of metrics: what a server takes up on the disk, and how long questions about an hour to a year take.

    python -m bench.history [--servers 20] [--days 365] [--interval 60] [--asks 40]

PostgreSQL makes up a sample every `--interval` seconds, and rolls up as the worker does, but a level at a time. Every
level has what it would still hold after so many days. Questions go to the api's own reader, one after the other, each
of another server; the first of a kind, which plans, counts as well.
"""

import argparse
import asyncio
import datetime as dt
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from services.api.metric_history import MetricHistory, Question
from services.api.resolution import AUTO, Span
from services.worker.rollups import close_until, roll_up
from shared.io.database.aggregation import COLUMNS, KEYS, columns
from shared.io.database.pool import create_pool
from shared.levels import COUNTERS, EPOCH, GAUGES, NUMBERS, ONE_MINUTE, RAW_PARTITION, ROLLUPS, Level, floor
from shared.settings import History
from tests.support.postgres import PostgresServer

WORKSPACE = "w_0123456789abcdef"
DAY = dt.timedelta(days=1)
NOW = floor(dt.datetime.now(dt.UTC), ONE_MINUTE.bucket)
SPANS = {
    "hour": dt.timedelta(hours=1),
    "day": DAY,
    "week": 7 * DAY,
    "month": 30 * DAY,
    "year": 365 * DAY,
}
TARGET_MS = 100
"""A year is to be answered in so much time."""

_SERVERS = "(SELECT 's_' || lpad(n::text, 16, '0') AS server_id FROM generate_series(1, $1::int) AS n) AS server"


async def fill_samples(pool: asyncpg.Pool, servers: int, begin: dt.datetime, interval_s: int) -> None:
    """Make up samples up to now."""
    day = floor(begin, RAW_PARTITION)
    names = ", ".join(NUMBERS)
    values = ", ".join("(random() * 100)::real" if name in GAUGES else "n * 1000" for name in NUMBERS)
    while day < NOW:
        await pool.execute("SELECT ensure_metrics_day($1)", day.date())
        await pool.execute(
            f"INSERT INTO metrics_history (workspace_id, server_id, ts, boot_id, seq, {names}) "  # noqa: S608  (declared names)
            f"SELECT '{WORKSPACE}', server_id, ts, 'b_0123456789abcdef', n, {values} FROM {_SERVERS}, "
            "generate_series(greatest($2::timestamptz, $4), least($2 + interval '1 day', $5) - interval '1 second', "
            "$3::interval) WITH ORDINALITY AS moment (ts, n)",
            servers, day, dt.timedelta(seconds=interval_s), begin, NOW,
            timeout=600,
        )  # fmt: skip
        day += RAW_PARTITION


async def fill_rollups(pool: asyncpg.Pool, level: Level, servers: int, begin: dt.datetime, interval_s: int) -> None:
    """Make up buckets of a level from a moment to the beginning of today's; the rest is rolled up."""
    first, end = floor(begin, level.partition), floor(NOW, DAY)
    samples = max(1, int(level.bucket.total_seconds()) // interval_s)
    values = ["(random() * 100)::real" if column.rpartition("_")[0] in GAUGES else "n * 1000" for column in columns()]
    names = ", ".join(column for column in COLUMNS if column not in {*KEYS, "counts"})
    while first < end:
        await pool.execute("SELECT ensure_metrics_partition($1, $2, $3)", level.table, first, level.partition)
        await pool.execute(
            f"INSERT INTO {level.table} (workspace_id, server_id, ts, {names}) "  # noqa: S608  (declared names)
            f"SELECT '{WORKSPACE}', server_id, ts, {samples}, {', '.join(values)} FROM {_SERVERS}, "
            "generate_series(greatest($2::timestamptz, $5), least($2 + $4::interval, $6) - interval '1 second', "
            "$3::interval) WITH ORDINALITY AS moment (ts, n)",
            servers, first, level.bucket, level.partition, floor(begin, level.bucket), end,
            timeout=600,
        )  # fmt: skip
        first += level.partition
    await pool.execute("UPDATE metrics_levels SET rolled_until = $2 WHERE level = $1", level.name, end)


async def fill(pool: asyncpg.Pool, servers: int, days: int, interval_s: int) -> None:
    """Fill every level with what it would hold."""
    kept = History()
    retentions_s = (
        kept.one_minute_retention_s,
        kept.quarter_hour_retention_s,
        kept.one_hour_retention_s,
        kept.one_day_retention_s,
    )
    for level, retention_s in zip(ROLLUPS, retentions_s, strict=True):
        span = min(dt.timedelta(seconds=retention_s), days * DAY)
        await fill_rollups(pool, level, servers, NOW - span, interval_s)
    raw = min(dt.timedelta(seconds=kept.raw_retention_s), days * DAY)
    await fill_samples(pool, servers, NOW - raw, interval_s)
    await pool.execute("UPDATE metrics_levels SET kept_from = $1 WHERE level = 'raw'", floor(NOW - raw, DAY) + DAY)
    await pool.execute("VACUUM ANALYZE", timeout=600)
    await close_until(pool, EPOCH)
    began = time.perf_counter()
    await roll_up(pool, NOW)
    print(f"rolling the rest of today up  {time.perf_counter() - began:>8.1f} s")


async def print_sizes(pool: asyncpg.Pool, servers: int) -> None:
    """Print what a server takes up at each level, indexes included."""
    total = 0
    for table in ("metrics_history", *(level.table for level in ROLLUPS)):
        size = await pool.fetchval(
            "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits "
            "WHERE inhparent = $1::text::regclass",
            table,
        )
        rows = await pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608  (a declared name)
        total += size
        each, of_a_server = size / max(1, rows), size / servers / 1e6
        print(f"{table:<18}{rows // servers:>8,} rows and {of_a_server:>6.2f} MB a server, {each:>5.0f} B a row")
    print(f"{'all':<18}{total / servers / 1e6:>24.2f} MB a server")


async def print_times(pool: asyncpg.Pool, servers: int, asks: int) -> None:
    """Print how long questions take, and how much of that is the api's own processor time."""
    history = MetricHistory(pool, now=lambda: NOW)
    for name, span in SPANS.items():
        for fields in (NUMBERS, ("cpu_percent", "mem_used")):
            took, size = [], 0
            began_cpu = time.process_time()
            for _ in range(asks):
                server_id = f"s_{random.randint(1, servers):016}"
                question = Question(WORKSPACE, server_id, Span(NOW - span, NOW), AUTO, fields)
                began = time.perf_counter()
                size = len(await history.answer(question))
                took.append((time.perf_counter() - began) * 1000)
            cpu_ms = (time.process_time() - began_cpu) * 1000 / asks
            goal = f"   (target: at most {TARGET_MS} ms)" if name == "year" else ""
            print(
                f"{name:<6} {len(fields):>2} fields {size / 1000:>8.1f} kB   p50 {_quantile(took, 0.5):>6.1f} ms   "
                f"p95 {_quantile(took, 0.95):>6.1f} ms   api's processor {cpu_ms:>5.1f} ms{goal}"
            )


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def measure(url: str, arguments: argparse.Namespace) -> None:
    """Fill a database, and ask."""
    pool = await create_pool(url, size=2)
    await pool.execute("INSERT INTO workspaces (id, name) VALUES ($1, 'Bench')", WORKSPACE)
    await pool.execute(
        "INSERT INTO servers (workspace_id, id, version, name, hostname, machine_id, status, tags, groups, notes, "  # noqa: S608  (a constant)
        "hidden, position, os, agent_version, provider, currency, billing_cycle) "
        f"SELECT '{WORKSPACE}', server_id, 1, 'web', '', '', 'online', '{{}}', '{{}}', '', false, 0, '{{}}', '', '', "
        f"'', '' FROM {_SERVERS}",
        arguments.servers,
    )
    await fill(pool, arguments.servers, arguments.days, arguments.interval)
    await print_sizes(pool, arguments.servers)
    await print_times(pool, arguments.servers, arguments.asks)
    await pool.close()


async def run(arguments: argparse.Namespace) -> None:
    """Measure on a server of its own."""
    assert set(COUNTERS) | set(GAUGES) == set(NUMBERS)  # noqa: S101  (every column is filled)
    with tempfile.TemporaryDirectory() as folder:
        postgres = await PostgresServer.create(Path(folder) / "postgres")
        try:
            async with postgres.new_database() as url:
                await measure(url, arguments)
        finally:
            postgres.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--interval", type=int, default=60, help="seconds between samples")
    parser.add_argument("--asks", type=int, default=40, help="questions of each kind")
    asyncio.run(run(parser.parse_args()))
