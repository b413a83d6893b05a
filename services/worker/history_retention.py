"""Lets go of old history: whole partitions, of each level after its time, and never before it is rolled up."""

import datetime as dt
from collections.abc import Mapping

import structlog
from asyncpg import Connection, Pool

from services.worker.rollups import ELSEWHERE, Standing, lock_levels, redo_late, redo_late_slice
from shared.io.database.queries import queries
from shared.levels import RAW, RAW_PARTITION, ROLLUPS, Level, floor
from shared.settings import History

log = structlog.get_logger(__name__)

_SQL = queries("rollups")
_RAW_TABLE = "metrics_history"
_MOST_SLICES = 20
"""So many slices of late samples are made anew at most before the samples are locked, and then again."""


async def forget_history(pool: Pool, kept: History, now: dt.datetime) -> None:
    """Drop what is older than it is kept, from fine to coarse; what cannot be had now, the next run drops."""
    retentions_s = (
        kept.raw_retention_s,
        kept.one_minute_retention_s,
        kept.quarter_hour_retention_s,
        kept.one_hour_retention_s,
        kept.one_day_retention_s,
    )
    async with pool.acquire() as connection:
        try:
            # agents whose clocks are days behind send late samples all the time: few may be left for when it is locked
            for _ in range(_MOST_SLICES):
                if not await redo_late_slice(connection):
                    break
            for level, retention_s in zip((None, *ROLLUPS), retentions_s, strict=True):
                dropped = await forget_level(connection, level, now - dt.timedelta(seconds=retention_s))
                if dropped:
                    log.info("history dropped", partitions=dropped)
        except ELSEWHERE as error:
            log.info("history cannot be dropped now", reason=str(error))


async def forget_level(connection: Connection, level: Level | None, before: dt.datetime) -> list[str]:
    """Drop the partitions of a level, None for the samples, that lie before a moment; return their names.

    Raises one of `ELSEWHERE` when the level is in use.
    """
    name, table = (level.name, level.table) if level else (RAW, _RAW_TABLE)
    async with connection.transaction():
        # whoever wants the table waits behind us for as long as we wait
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        levels = await lock_levels(connection)
        moment = max(_droppable(levels, level, before), levels[name].kept_from)
        partitions = [row["name"] async for row in _SQL.partitions_before(connection, table=table, moment=moment)]
        if not partitions and moment == levels[name].kept_from:
            return []
        if level is None:
            # no sample comes between the last look at what is late and the drop
            await connection.execute(f"LOCK TABLE ONLY {_RAW_TABLE} IN ACCESS EXCLUSIVE MODE")
            if not await _redo_all_late(connection, levels, moment):
                return []
            await _SQL.delete_strays(connection, moment=moment)
        for partition in partitions:
            await connection.execute(f'DROP TABLE "{partition}"')
        await _SQL.kept_from(connection, level=name, moment=moment)
    return partitions


async def _redo_all_late(connection: Connection, levels: Mapping[str, Standing], before: dt.datetime) -> bool:
    """Make anew what came late to before a moment; return whether that is all: what was done stays done."""
    for _ in range(_MOST_SLICES):
        if not await redo_late(connection, levels, before=before):
            return True
    log.warning("too many samples come late to drop their days", before=before.isoformat())
    return False


def _droppable(levels: Mapping[str, Standing], level: Level | None, before: dt.datetime) -> dt.datetime:
    """Return until when a level may go: the next one is made of it, and what is made of it outlives the one below."""
    place = ROLLUPS.index(level) if level else -1
    moments = [before]
    if place + 1 < len(ROLLUPS):
        moments.append(levels[ROLLUPS[place + 1].name].rolled_until)
    if level is not None:
        moments.append(levels[ROLLUPS[place - 1].name if place else RAW].kept_from)
    return floor(min(moments), level.partition if level else RAW_PARTITION)
