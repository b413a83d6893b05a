"""Commits entries of the log to PostgreSQL: records, history, events, operations, the checkpoint, all or nothing."""

import datetime as dt
from collections.abc import Sequence

import msgspec
from asyncpg import Connection

from services.worker.projection import (
    EVENT_COLUMNS,
    HISTORY_COLUMNS,
    LATE_COLUMNS,
    Projection,
    Rows,
    delete_sql,
    late_places,
    project,
    upsert_sql,
)
from shared.change import ChangeSet
from shared.io.audit import record
from shared.io.changelog.guardian import Checkpoint, Overtaken
from shared.io.database.queries import queries
from shared.levels import EPOCH
from shared.position import Position
from shared.resources import RESOURCES

_OLDEST_DAY = dt.timedelta(days=400)
_SQL = queries("applier")


class Committer:
    """Writes to one partition's share of PostgreSQL, through the connection that holds the partition's lock."""

    def __init__(self, connection: Connection, partition: int) -> None:
        self._connection = connection
        self._partition = partition
        self._days: set[dt.date] = set()
        self._closed_until = EPOCH

    async def commit(
        self, checkpoint: Checkpoint, entries: Sequence[ChangeSet], projection: Projection | None = None
    ) -> Checkpoint:
        """Apply entries that follow the checkpoint; return the one after them. `projection` is theirs, where known.

        Raises Overtaken when the checkpoint has been moved by somebody else, asyncpg.PostgresError, and
        msgspec.ValidationError for a sample that cannot be read; nothing is stored then.
        """
        projection = projection or project(entries)
        await self.ensure_days(projection)
        async with self._connection.transaction():
            after = await self.advance(checkpoint, entries[-1].position)
            await self.save(projection)
        return after

    async def advance(self, checkpoint: Checkpoint, to: Position) -> Checkpoint:
        """Move the checkpoint within the transaction that stores what it stands for; raises Overtaken."""
        advanced = await queries("checkpoints").advance(
            self._connection,
            partition=self._partition,
            fence=checkpoint.fence,
            epoch=checkpoint.position.epoch,
            old_seq=checkpoint.position.seq,
            seq=to.seq,
        )
        if advanced is None:
            raise Overtaken(f"partition {self._partition}: the checkpoint is not at {checkpoint.position} any more")
        # until this transaction ends nobody can close more: they would have to change the same row
        self._closed_until = advanced["closed_until"]
        return msgspec.structs.replace(checkpoint, position=to)

    async def save(self, projection: Projection) -> None:
        """Store a projection; to be called in a transaction."""
        for name, rows in projection.tables.items():
            await self._save_records(name, rows)
        if projection.windows:
            workspaces, servers, windows = zip(*projection.windows, strict=True)
            await _SQL.save_sample_windows(self._connection, workspaces=workspaces, servers=servers, windows=windows)
        if projection.history:
            await self._connection.copy_records_to_table(
                "metrics_history", records=projection.history, columns=HISTORY_COLUMNS
            )
            late = late_places(projection.history, self._closed_until)
            if late:
                await self._connection.copy_records_to_table("metrics_late", records=late, columns=LATE_COLUMNS)
        if projection.events:
            await self._connection.copy_records_to_table("ws_events", records=projection.events, columns=EVENT_COLUMNS)
        workspaces, resources, versions = zip(*projection.topics, strict=True)
        await _SQL.save_topics(
            self._connection,
            partition=self._partition,
            workspaces=workspaces,
            resources=resources,
            versions=versions,
        )
        if projection.operations:
            ids, epochs, seqs, prevs, to_versions = zip(*projection.operations, strict=True)
            await _SQL.save_operations(
                self._connection,
                partition=self._partition,
                ids=ids,
                epochs=epochs,
                seqs=seqs,
                prevs=prevs,
                versions=to_versions,
            )
        if projection.audit:
            # last: people who change their accounts wait for the same chain
            await record(self._connection, projection.audit)

    async def _save_records(self, name: str, rows: Rows) -> None:
        resource = RESOURCES[name]
        if rows.upserts != b"[]":
            await self._connection.execute(upsert_sql(resource), rows.upserts)
        if rows.deletions[0]:
            await self._connection.execute(delete_sql(resource), *rows.deletions)

    async def ensure_days(self, projection: Projection) -> None:
        """Make the history's partitions for the days at hand; days of long ago go to the default partition."""
        today = dt.datetime.now(dt.UTC).date()
        days = {_utc_day(row[2]) for row in projection.history}
        for day in days - self._days:
            if today - _OLDEST_DAY <= day <= today + dt.timedelta(days=2):
                await _SQL.ensure_metrics_day(self._connection, day=day)
            self._days.add(day)


def _utc_day(ts: object) -> dt.date:
    assert isinstance(ts, dt.datetime)  # noqa: S101  (the third column of the history)
    return (ts if ts.tzinfo is dt.UTC else ts.astimezone(dt.UTC)).date()
