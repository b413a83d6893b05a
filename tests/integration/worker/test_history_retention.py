"""History goes in whole partitions, each level after its time, and nothing goes before it is rolled up."""

import datetime as dt

import asyncpg
import pytest
from structlog.testing import capture_logs

from services.worker.history_retention import forget_history, forget_level
from services.worker.jobs import forget_old_metrics, roll_up_metrics
from services.worker.rollups import LATE_PLACES, lock_levels, roll_up
from shared.levels import ONE_DAY, ONE_HOUR, ONE_MINUTE, QUARTER_HOUR, ROLLUPS
from shared.resources.metrics import Sample
from shared.settings import History
from tests.support.metric_history import HistoryWriter, Told, amounts, assert_alike, stored

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0)
START = NOW.replace(hour=0) - 20 * DAY


def sample(at: dt.datetime, cpu_percent: float = 10.0, server: str = "s_1") -> Told:
    return "w_1", server, Sample(ts=at, cpu_percent=cpu_percent)


def hourly(first: dt.datetime, days: int) -> list[Told]:
    return [sample(first + dt.timedelta(hours=n), n % 100) for n in range(24 * days)]


async def raw_times(pool: asyncpg.Pool) -> set[dt.datetime]:
    return {row["ts"] for row in await pool.fetch("SELECT ts FROM metrics_history")}


async def partitions(pool: asyncpg.Pool, table: str) -> list[str]:
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass", table
    )
    return sorted(row["name"] for row in rows)


async def test_levels_are_kept_for_their_times(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = hourly(START, 20)
    await writer.commit(told)
    await roll_up(pool, NOW)
    await forget_history(pool, History(), NOW)
    assert {NOW.replace(hour=0) - 2 * DAY, NOW.replace(hour=0) - DAY} == {
        moment.replace(hour=0) for moment in await raw_times(pool)
    }
    assert min(key[2] for key in await stored(pool, ONE_MINUTE)) == NOW.replace(hour=0) - 14 * DAY
    for level in (QUARTER_HOUR, ONE_HOUR, ONE_DAY):
        assert_alike(amounts(told, level), await stored(pool, level))


async def test_only_whole_partitions_go(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    await writer.commit(hourly(START, 3))
    await roll_up(pool, NOW)
    before = set(await partitions(pool, "metrics_history"))
    async with pool.acquire() as connection:
        dropped = await forget_level(connection, None, START + 2 * DAY - dt.timedelta(seconds=1))
    assert [f"metrics_history_{START:%Y%m%d}"] == dropped
    assert before - set(dropped) == set(await partitions(pool, "metrics_history"))
    assert START + DAY == min(await raw_times(pool))


async def test_samples_stay_until_they_are_rolled_up(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = hourly(START, 6)
    await writer.commit(told)
    await roll_up(pool, START + 3 * DAY + dt.timedelta(hours=3))
    await forget_history(pool, History(raw_retention_s=3600), NOW)
    assert START + 3 * DAY == min(await raw_times(pool))
    await roll_up(pool, NOW)
    for level in (QUARTER_HOUR, ONE_HOUR, ONE_DAY):
        assert_alike(amounts(told, level), await stored(pool, level))


async def test_samples_that_always_come_late_do_not_keep_their_days(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = hourly(START, 20)
    await writer.commit(told)
    await roll_up(pool, NOW)
    for day in range(1, 17):
        late = [sample(START + day * DAY + dt.timedelta(hours=5, seconds=n), 90.0) for n in (1, 2)]
        await writer.commit(late)
        await forget_history(pool, History(), START + (day + 3) * DAY)
        assert START + (day + 1) * DAY == min(await raw_times(pool))
        told += late
    for level in (QUARTER_HOUR, ONE_HOUR, ONE_DAY):
        assert_alike(amounts(told, level), await stored(pool, level))


@pytest.mark.parametrize("servers", [1, LATE_PLACES, 2 * LATE_PLACES + 1])
async def test_samples_that_come_late_at_the_last_moment_are_counted_before_their_day_is_dropped(
    pool: asyncpg.Pool, writer: HistoryWriter, servers: int
) -> None:
    told = [*hourly(START, 3), *(sample(START + dt.timedelta(hours=5), server=f"s_{n}") for n in range(2, servers + 1))]
    await writer.commit(told)
    await roll_up(pool, NOW)
    late = [sample(START + dt.timedelta(hours=5, seconds=1), 99.0, f"s_{n}") for n in range(1, servers + 1)]
    await writer.commit(late)
    async with pool.acquire() as connection:
        assert [f"metrics_history_{START:%Y%m%d}"] == await forget_level(connection, None, START + DAY)
    await roll_up(pool, NOW)
    for level in ROLLUPS:
        assert_alike(amounts([*told, *late], level), await stored(pool, level))


async def test_who_rolls_up_elsewhere_is_left_alone(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    await writer.commit(hourly(START, 2))
    await roll_up(pool, NOW)
    async with pool.acquire() as other, other.transaction():
        await lock_levels(other)
        await forget_history(pool, History(), NOW)
        assert START == min(await raw_times(pool))


async def test_sample_that_comes_when_its_day_is_dropped_is_added_once(
    pool: asyncpg.Pool, writer: HistoryWriter
) -> None:
    told = hourly(START, 20)
    await writer.commit(told)
    await roll_up(pool, NOW)
    await forget_history(pool, History(), NOW)
    # of days of which the samples are dropped, and of one of which the minutes are, too
    late = [sample(START + days * DAY + dt.timedelta(hours=5, seconds=n), 90.0 + n) for days in (1, 10) for n in (0, 1)]
    await writer.commit(late)
    for _ in range(2):
        await roll_up(pool, NOW)
    everything = [*told, *late]
    for level in (QUARTER_HOUR, ONE_HOUR, ONE_DAY):
        assert_alike(amounts(everything, level), await stored(pool, level))
    kept = NOW.replace(hour=0) - 14 * DAY
    assert_alike(amounts((t for t in everything if t[2].ts >= kept), ONE_MINUTE), await stored(pool, ONE_MINUTE))
    await writer.commit(again := [sample(START + 10 * DAY + dt.timedelta(hours=5, seconds=2), 95.0)])
    await roll_up(pool, NOW)
    assert_alike(amounts([*everything, *again], ONE_DAY), await stored(pool, ONE_DAY))
    assert NOW.replace(hour=0) - 2 * DAY == min(await raw_times(pool))


async def test_sample_from_before_all_that_is_kept_is_let_go_of(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    await writer.commit([sample(START)])
    await roll_up(pool, NOW)
    short = dict.fromkeys(
        (
            "raw_retention_s",
            "one_minute_retention_s",
            "quarter_hour_retention_s",
            "one_hour_retention_s",
            "one_day_retention_s",
        ),
        86_400.0,
    )
    await forget_history(pool, History(**short), NOW)
    await writer.commit([sample(dt.datetime(1999, 1, 1, tzinfo=dt.UTC))])
    await roll_up(pool, NOW)
    await forget_history(pool, History(**short), NOW)
    assert set() == await raw_times(pool)
    assert {} == {key: 0 for level in ROLLUPS for key in await stored(pool, level) if key[2].year == 1999}


async def test_who_is_writing_is_not_waited_for_long(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    await writer.commit(hourly(START, 2))
    await roll_up(pool, NOW)
    async with pool.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE metrics_history IN ROW EXCLUSIVE MODE")
        await forget_history(pool, History(), NOW)
        assert START == min(await raw_times(pool))
    await forget_history(pool, History(), NOW)
    assert set() == await raw_times(pool)


async def test_jobs_do_so_as_time_goes_by(pool: asyncpg.Pool, writer: HistoryWriter) -> None:
    told = hourly(START, 20)
    await writer.commit(told)
    context = {"pool": pool, "history": History()}
    for _ in range(2):
        await roll_up_metrics(context)
        await forget_old_metrics(context)
    assert dt.datetime.now(dt.UTC) - 3 * DAY < min(await raw_times(pool))
    for level in (QUARTER_HOUR, ONE_HOUR, ONE_DAY):
        assert_alike(amounts(told, level), await stored(pool, level))


async def test_clock_that_jumps_ahead_closes_and_drops_little_that_no_sample_confirms(
    pool: asyncpg.Pool, writer: HistoryWriter
) -> None:
    # seen from these samples, the clock of PostgreSQL is 10 days ahead
    told = hourly(START, 10)
    newest = told[-1][2].ts
    await writer.commit(told)
    context = {"pool": pool, "history": History()}
    with capture_logs() as said:
        for _ in range(2):
            await roll_up_metrics(context)
            await forget_old_metrics(context)
    assert 2 == [each["log_level"] for each in said].count("warning")
    levels = await pool.fetch("SELECT rolled_until FROM metrics_levels")
    assert max(row["rolled_until"] for row in levels) <= newest + DAY
    assert (newest - DAY).replace(hour=0) == min(await raw_times(pool))


async def test_clock_is_believed_where_there_are_no_samples(pool: asyncpg.Pool) -> None:
    await pool.execute("DELETE FROM checkpoints")
    await roll_up_metrics({"pool": pool})
    assert NOW - DAY < await pool.fetchval("SELECT max(rolled_until) FROM metrics_levels")
