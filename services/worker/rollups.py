"""Rolls the history of metrics up: closes buckets, makes them level by level, and anew where samples came late.

Everything is done in slices, each one transaction that says how far it came. They may be repeated, come late, or be
killed; who finds another at work leaves it to them.
"""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg
import structlog
from asyncpg import Connection, Pool

from shared.io.database.aggregation import raw_parts, rolled_up, rollup_parts
from shared.io.database.queries import queries
from shared.io.telemetry import Counter
from shared.levels import LATE_SPAN, ONE_DAY, ONE_HOUR, ONE_MINUTE, QUARTER_HOUR, RAW, ROLLUPS, Level, floor
from shared.names import PARTITIONS

log = structlog.get_logger(__name__)

SETTLING = dt.timedelta(seconds=90)
"""A bucket is closed so long after its end: samples that come later are late, which costs more but loses nothing."""
LATE_PLACES = 200
"""So many quarters of an hour of servers are made anew at once."""
ELSEWHERE = (asyncpg.LockNotAvailableError, asyncpg.SerializationError)
"""What is raised where another process holds the levels, or has just moved them."""

_SHORTEST = {
    ONE_MINUTE: dt.timedelta(minutes=5),
    QUARTER_HOUR: dt.timedelta(hours=1),
    ONE_HOUR: dt.timedelta(hours=6),
    ONE_DAY: dt.timedelta(days=1),
}
_FEW_BUCKETS = 10_000
_LONGEST_S = 200.0
_MICROSECOND = dt.timedelta(microseconds=1)
_SQL = queries("rollups")
_LATE = Counter("muster_late_history_total", "Quarters of an hour of a server to which samples came late")

Place = tuple[str, str, dt.datetime]
"""Workspace, server, and the beginning of a bucket."""


class Standing(NamedTuple):
    """Below `rolled_until` a level's buckets are made; from `kept_from` on nothing of it was dropped."""

    rolled_until: dt.datetime
    kept_from: dt.datetime


async def roll_up(pool: Pool, now: dt.datetime) -> None:
    """Do everything that there is to do, level by level, then what came late."""
    try:
        await close_until(pool, floor(now - SETTLING, ONE_MINUTE.bucket))
        async with pool.acquire() as connection:
            for level in ROLLUPS:
                await roll_up_level(connection, level)
            while await redo_late_slice(connection):
                pass
    except ELSEWHERE as error:
        log.info("rolling up is left to another", reason=str(error))


async def close_until(pool: Pool, moment: dt.datetime, *, partitions: int = PARTITIONS) -> None:
    """Close all buckets before a moment: what is committed later to them is marked as late by whoever commits it.

    An applier changes its checkpoint in each of its transactions, and so does this: either its batch is committed
    before, and rolled up, or it hears of the new moment. Raises one of `ELSEWHERE` when a batch takes too long.
    """
    for partition in range(partitions):
        async with _waiting_briefly(pool) as connection:
            await _SQL.close_partition(connection, partition=partition, moment=moment)
    async with _waiting_briefly(pool) as connection:
        await _SQL.closed(connection, moment=moment)


@contextlib.asynccontextmanager
async def _waiting_briefly(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection in a transaction that waits for no lock for long."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        yield connection


async def lock_levels(connection: Connection) -> dict[str, Standing]:
    """Take the levels until the transaction ends; raises one of `ELSEWHERE` when another has them."""
    rows = _SQL.lock_levels(connection)
    return {row["level"]: Standing(row["rolled_until"], row["kept_from"]) async for row in rows}


async def roll_up_level(connection: Connection, level: Level) -> None:
    """Make all closed buckets of a level, in slices that are longer where there is little in them."""
    length = _SHORTEST[level]
    while (made := await roll_up_slice(connection, level, length)) is not None:
        length = min(2 * length, level.partition) if made < _FEW_BUCKETS else _SHORTEST[level]


async def roll_up_slice(connection: Connection, level: Level, length: dt.timedelta) -> int | None:
    """Make the next closed buckets of a level, for so much time at most; return how many, None when none are left."""
    place = ROLLUPS.index(level)
    source = ROLLUPS[place - 1] if place else None
    async with connection.transaction(isolation="repeatable_read"):
        levels = await lock_levels(connection)
        begin = levels[level.name].rolled_until
        end = min(begin + length, floor(levels[source.name if source else RAW].rolled_until, level.bucket))
        if end <= begin:
            return None
        await _ensure_partitions(connection, level, {begin, end - _MICROSECOND})
        parts = f"SELECT {rollup_parts()} FROM {source.table} rollup" if source else _ALL_RAW  # noqa: S608  (declared names)
        made = await _run(connection, rolled_up(level, f"{parts} WHERE ts >= $1 AND ts < $2"), begin, end)
        await _SQL.rolled_until(connection, level=level.name, moment=end)
    return made


async def redo_late_slice(connection: Connection, *, most: int = LATE_PLACES) -> bool:
    """Make buckets anew to which samples came late, at all levels; return whether there may be more of them."""
    async with connection.transaction(isolation="repeatable_read"):
        return await redo_late(connection, await lock_levels(connection), most=most)


async def redo_late(
    connection: Connection,
    levels: Mapping[str, Standing],
    *,
    before: dt.datetime | None = None,
    most: int = LATE_PLACES,
) -> bool:
    """Do so in a transaction that has locked the levels; with `before` for the samples of before a moment alone."""
    places = [tuple(row.values()) async for row in _SQL.take_late(connection, before=before, most=most)]
    late: list[Place] = [(workspace_id, server_id, bucket) for bucket, workspace_id, server_id in places]
    kept_from = levels[RAW].kept_from
    await _make_anew(connection, levels, [place for place in late if place[2] >= kept_from])
    await _add(connection, levels, [place for place in late if place[2] < kept_from])
    _LATE.inc(len(late))
    return len(late) == most


async def _make_anew(connection: Connection, levels: Mapping[str, Standing], late: Sequence[Place]) -> None:
    """Make buckets from all that there is on the level below, which holds them whole."""
    source = None
    for level in ROLLUPS:
        rolled_until = levels[level.name].rolled_until
        places = _places(level, late, rolled_until=rolled_until)
        if places:
            await _ensure_partitions(connection, level, {place[2] for place in places})
            sql = rolled_up(level, _places_of(source))
            await _run(connection, sql, *zip(*places, strict=True), max(level.bucket, LATE_SPAN), rolled_until)
        source = level


async def _add(connection: Connection, levels: Mapping[str, Standing], late: Sequence[Place]) -> None:
    """Add samples to buckets whose others are dropped already: they are all that is there, and they are used up."""
    for level in ROLLUPS if late else ():
        rolled_until, kept_from = levels[level.name]
        places = _places(level, late, rolled_until=rolled_until, kept_from=kept_from)
        if not places:
            continue
        there = set(places)
        added = [place for place in late if _place(level, place) in there]
        await _ensure_partitions(connection, level, {place[2] for place in places})
        await _run(
            connection,
            rolled_up(level, f"{_places_of(level)} UNION ALL {_places_of(None, first_argument=6)}"),
            *zip(*places, strict=True),
            max(level.bucket, LATE_SPAN),
            rolled_until,
            *zip(*added, strict=True),
            LATE_SPAN,
            rolled_until,
        )
    if late:
        names = ("workspace_id", "server_id", "bucket")
        await _SQL.delete_samples(connection, [dict(zip(names, place, strict=True)) for place in late])


def _places(
    level: Level, late: Iterable[Place], *, rolled_until: dt.datetime, kept_from: dt.datetime | None = None
) -> list[Place]:
    """Return where buckets of a level are to be made anew: those that are made, and not dropped."""
    found = {_place(level, place) for place in late}
    return sorted(
        place
        for place in found
        if place[2] + level.bucket <= rolled_until and (kept_from is None or place[2] >= kept_from)
    )


def _place(level: Level, late: Place) -> Place:
    workspace_id, server_id, bucket = late
    return workspace_id, server_id, floor(bucket, max(level.bucket, LATE_SPAN))


_ALL_RAW = f"SELECT {raw_parts()} FROM metrics_history raw"  # noqa: S608  (declared names)


def _places_of(source: Level | None, *, first_argument: int = 1) -> str:
    """Return what selects the parts of places from a level, None for the samples.

    Its arguments are workspaces, servers, beginnings, the length of a place, and the moment at which made buckets end.
    """
    alias = "rollup" if source else "raw"
    parts = rollup_parts() if source else raw_parts()
    table = source.table if source else "metrics_history"
    one, two, three, four, five = (f"${first_argument + number}" for number in range(5))
    # OFFSET 0: each place is looked up in the index, whatever the planner thinks of reading everything instead
    return (
        f"SELECT part.* FROM unnest({one}::text[], {two}::text[], {three}::timestamptz[]) "  # noqa: S608  (declared names)
        f"AS place (workspace_id, server_id, bucket) CROSS JOIN LATERAL (SELECT {parts} FROM {table} {alias} "
        f"WHERE {alias}.workspace_id = place.workspace_id AND {alias}.server_id = place.server_id "
        f"AND {alias}.ts >= place.bucket AND {alias}.ts < least(place.bucket + {four}::interval, {five}::timestamptz) "
        "OFFSET 0) AS part"
    )


async def _ensure_partitions(connection: Connection, level: Level, moments: Iterable[dt.datetime]) -> None:
    for first_moment in sorted({floor(moment, level.partition) for moment in moments}):
        await _SQL.ensure_partition(connection, table=level.table, first_moment=first_moment, length=level.partition)


async def _run(connection: Connection, sql: str, *arguments: object) -> int:
    """Store buckets, and return how many."""
    # compiling so many columns takes longer than the work does
    await connection.execute("SET LOCAL jit = off")
    status: str = await connection.execute(sql, *arguments, timeout=_LONGEST_S)
    return int(status.rpartition(" ")[2])
