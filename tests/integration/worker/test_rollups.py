"""Rollups amount to the samples, in whatever order these came, and whatever became of the job that makes them."""

import asyncio
import datetime as dt
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.worker import rollups
from services.worker.rollups import close_until, redo_late_slice, roll_up, roll_up_slice
from shared.levels import ONE_DAY, ONE_MINUTE, QUARTER_HOUR, ROLLUPS, Level
from shared.resources.metrics import Sample
from tests.support.applier import until
from tests.support.metric_history import HistoryWriter, Told, amounts, assert_alike, level_stands_at, stored

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
LATER = START + 2 * DAY
"""When everything of the first day is closed, and rolled up at all levels."""


def sample(after: dt.timedelta, server: str = "s_1", workspace: str = "w_1", **values: float | None) -> Told:
    numbers: dict[str, Any] = {"cpu_percent": 10.0} | values
    return workspace, server, Sample(ts=START + after, **numbers)


async def assert_rolled_up(pool: asyncpg.Pool, told: list[Told], *levels: Level) -> None:
    for level in levels or ROLLUPS:
        assert_alike(amounts(told, level), await stored(pool, level))


async def test_samples_are_rolled_up_at_every_level(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = [
        sample(n * dt.timedelta(seconds=7), cpu_percent=n % 100, mem_used=n * 10**9, net_rx_total=n * 10**6, load1=None)
        for n in range(1000)
    ]
    await writer.commit(told)
    await roll_up(pool, LATER)
    await assert_rolled_up(pool, told)


async def test_column_that_only_some_samples_have_is_averaged_over_those(
    pool: asyncpg.Pool, writer: HistoryWriter
) -> None:
    told = [sample(n * MINUTE, load1=float(n) if n % 3 else None, processes=7 if n < 20 else None) for n in range(100)]
    told += [sample(n * MINUTE + MINUTE / 2, load1=1.0) for n in range(100)]
    await writer.commit(told)
    await roll_up(pool, LATER)
    await assert_rolled_up(pool, told)


async def test_number_too_small_to_be_stored_holds_nothing_up(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    await writer.commit(
        [sample(MINUTE, load1=1.5e-45), sample(MINUTE * 1.5, load1=0.0), sample(MINUTE * 1.6, load1=0.0)]
    )
    await roll_up(pool, LATER)
    assert {0.0} == {row["load1_avg"] for row in (await stored(pool, ONE_DAY)).values()}


async def test_buckets_are_made_once_they_are_closed(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = [sample(n * MINUTE / 2) for n in range(40)]
    await writer.commit(told)
    await roll_up(pool, START + 17 * MINUTE + rollups.SETTLING)
    first = [each for each in told if each[2].ts < START + 17 * MINUTE]
    await assert_rolled_up(pool, first, ONE_MINUTE)
    assert {START} == {key[2] for key in await stored(pool, QUARTER_HOUR)}
    assert {} == await stored(pool, ONE_DAY)


async def test_late_sample_makes_its_bucket_anew_at_every_level(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = [sample(n * MINUTE, server, cpu_percent=n / 10) for n in range(200) for server in ("s_1", "s_2")]
    await writer.commit(told)
    await roll_up(pool, LATER)
    late = [sample(75 * MINUTE + dt.timedelta(seconds=3), cpu_percent=99.0)]
    await writer.commit(late)
    await roll_up(pool, LATER)
    await assert_rolled_up(pool, [*told, *late])
    assert 0 == await pool.fetchval("SELECT count(*) FROM metrics_late")


async def test_only_late_samples_are_marked(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    await writer.commit([sample(0 * MINUTE)])
    await close_until(pool, START + 30 * MINUTE)
    await writer.commit([sample(30 * MINUTE), sample(29 * MINUTE), sample(16 * MINUTE), sample(3 * MINUTE, "s_2")])
    rows = await pool.fetch("SELECT bucket, workspace_id, server_id FROM metrics_late ORDER BY bucket")
    assert [(START, "w_1", "s_2"), (START + 15 * MINUTE, "w_1", "s_1")] == [tuple(row) for row in rows]


async def test_batch_that_is_being_committed_while_its_buckets_are_closed_is_rolled_up(
    pool: asyncpg.Pool, writer: HistoryWriter
) -> None:
    """The applier has its checkpoint and copies; whoever closes waits for it."""
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE ONLY metrics_history IN ACCESS EXCLUSIVE MODE")
        committing = asyncio.create_task(writer.commit([sample(MINUTE)]))
        await until(lambda: _waiting(pool, 1))
        rolling = asyncio.create_task(roll_up(pool, LATER))
        await until(lambda: _waiting(pool, 2))
    await asyncio.gather(committing, rolling)
    assert 0 == await pool.fetchval("SELECT count(*) FROM metrics_late")
    await assert_rolled_up(pool, [sample(MINUTE)])


async def _waiting(pool: asyncpg.Pool, count: int) -> bool:
    waiting = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(waiting == count)


async def test_job_that_is_killed_in_the_middle_is_gone_on_with(
    pool: asyncpg.Pool, writer: HistoryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [sample(n * 3 * MINUTE, cpu_percent=n % 100) for n in range(480)]
    await writer.commit(told)
    run, statements = rollups._run, 0

    async def run_until_killed(connection: asyncpg.Connection, sql: str, *arguments: object) -> int:
        nonlocal statements
        statements += 1
        made = await run(connection, sql, *arguments)
        if statements % 5 == 0:
            raise asyncio.CancelledError  # after the rows are written, before the slice is committed
        return made

    monkeypatch.setattr(rollups, "_run", run_until_killed)
    killed = 0
    while True:
        try:
            await roll_up(pool, LATER)
            break
        except asyncio.CancelledError:
            killed += 1
            if killed == 2:
                await writer.commit([late := sample(7 * MINUTE, cpu_percent=1.5)])
                told.append(late)
    assert killed > 2
    await assert_rolled_up(pool, told)


async def test_who_finds_another_at_work_leaves_it_to_them(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = [sample(n * MINUTE) for n in range(100)]
    await writer.commit(told)
    async with pool.acquire() as other, other.transaction():
        await rollups.lock_levels(other)
        await close_until_without_levels(pool)
        async with pool.acquire() as connection:
            with pytest.raises(rollups.ELSEWHERE):
                await roll_up_slice(connection, ONE_MINUTE, MINUTE)
    assert {} == await stored(pool, ONE_MINUTE)
    await asyncio.gather(*(roll_up(pool, LATER) for _ in range(3)))
    await roll_up(pool, LATER)
    await assert_rolled_up(pool, told)


async def close_until_without_levels(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("UPDATE checkpoints SET closed_until = $1", LATER)


async def test_servers_of_the_same_id_in_two_workspaces_are_kept_apart(
    pool: asyncpg.Pool, writer: HistoryWriter
) -> None:
    told = [sample(n * MINUTE, workspace=f"w_{n % 2}", cpu_percent=n / 10) for n in range(100)]
    await writer.commit(told)
    await roll_up(pool, LATER)
    await assert_rolled_up(pool, told)


numbers = st.floats(0, 1e9, width=32)
samples = st.builds(
    lambda second, server, values: (
        server[0],
        server[1],
        Sample(ts=START + dt.timedelta(seconds=second), cpu_percent=1.0, **values),
    ),
    second=st.integers(0, 86_399) | st.integers(0, 1800),
    server=st.sampled_from([("w_1", "s_1"), ("w_1", "s_2"), ("w_2", "s_1")]),
    values=st.fixed_dictionaries(
        {},
        optional={
            "load1": numbers,
            "disk_read_rate": numbers,
            "processes": st.integers(0, 10**6),
            "mem_used": st.integers(0, 2**45),
            "net_rx_total": st.integers(0, 2**53 - 1),
        },
    ),
)
# of each batch: the samples, and how many minutes the clock goes on before the job runs, not at all where that is None
runs = st.lists(st.tuples(st.lists(samples, max_size=8), st.none() | st.integers(0, 900)), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=runs)
async def test_rollups_equal_the_direct_aggregate_in_any_order_of_arrival(
    pool: asyncpg.Pool, writer: HistoryWriter, batches: list[tuple[list[Told], int | None]]
) -> None:
    await pool.execute(
        "TRUNCATE metrics, metrics_history, metrics_late, metrics_1m, metrics_15m, metrics_1h, metrics_1d"
    )
    await level_stands_at(pool, START)
    now, told = START, []
    for batch, minutes in batches:
        await writer.commit(batch)
        told += batch
        if minutes is not None:
            now += minutes * MINUTE
            await roll_up(pool, now)
    await roll_up(pool, max(now, LATER))
    async with pool.acquire() as connection:
        assert not await redo_late_slice(connection)
    await assert_rolled_up(pool, told)
