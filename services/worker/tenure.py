"""What an applier does while it holds a partition: look after the log, apply what it says, announce, trim."""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog
from asyncpg import Connection
from redis.asyncio import Redis

from services.worker.commit import Committer
from services.worker.dead_letters import commit_around, compensate, poison_code
from services.worker.projection import Projection, project
from shared.change import ChangeSet, Entry
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.guardian import Checkpoint, Guardian
from shared.io.changelog.read import LogReader
from shared.io.telemetry import Counter, Gauge, Histogram
from shared.names import PartitionKeys
from shared.position import Position

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
"""How often the guardian looks whether the log is still the one it knows."""
WAIT_MS = 250
"""How long a read waits for entries: the longest that an idle applier takes to notice that it shall stop."""
COMMIT_CHANGES = 2_000
"""About so many changes are read, projected and committed together."""
_MOST_ENTRIES = 500
REPLAY_ENTRIES = 10_000
"""How many applied entries stay in the log, for clients and replicas that resume."""
_TRIM_EVERY_ENTRIES = 1_000

_APPLIED = Counter("muster_applied_changes_total", "Changes committed to PostgreSQL")
_LATE = Counter("muster_late_samples_total", "Samples that came after a later one, and went into history alone")
_SECONDS = Histogram("muster_apply_seconds", "Time to commit one batch of entries")
_SEQ = Gauge("muster_applied_seq", "Sequence number of the checkpoint", ["partition"])


class _Batch(msgspec.Struct, frozen=True):
    """Entries that follow each other; `projection` is missing when it failed, `hole` is what comes after one."""

    entries: list[ChangeSet]
    projection: Projection | None = None
    hole: Position | None = None


class Tenure:
    """Works on one partition with the connection that holds its lock; `step` is called over and over, then `aclose`.

    While one batch is being committed, the next is already read and projected.
    """

    def __init__(
        self, redis: Redis, changes: ChangeLog, connection: Connection, guardian: Guardian, checkpoint: Checkpoint
    ) -> None:
        self._redis = redis
        self._changes = changes
        self._reader = LogReader(redis)
        self._connection = connection
        self._guardian = guardian
        self._partition = guardian.partition
        self._keys = PartitionKeys(guardian.partition)
        self._committer = Committer(connection, guardian.partition)
        self._checkpoint = checkpoint
        self._ahead: asyncio.Task[_Batch] | None = None
        self._read_entries = 20
        self._look_at = 0.0
        self._trimmed_seq = 0
        self._may_owe_compensation = True

    async def step(self) -> None:
        """Look after the log if it is time, then wait shortly for entries and apply them.

        Raises RedisError and RetryLater when the log is away, asyncpg's errors and Overtaken when the tenure is over.
        """
        if time.monotonic() >= self._look_at:
            await self._look()
        batch = await self._next_batch()
        if batch.entries:
            await self._commit(batch)
            await self._trim()
        if batch.hole is not None:
            log.error("hole in the log", partition=self._partition, found=str(batch.hole))
            await self._open_new_epoch()
        if self._may_owe_compensation:
            more = await compensate(self._changes, self._connection, self._partition)
            self._may_owe_compensation = more

    async def distrust(self) -> None:
        """Look at the log anew before the next step: the connection to it was lost."""
        self._look_at = 0.0
        await self.aclose()

    async def aclose(self) -> None:
        """Give up what was read ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _look(self) -> None:
        reason = await self._guardian.distrust(self._checkpoint)
        if reason is not None:
            log.warning("log is distrusted", partition=self._partition, reason=reason)
            await self._open_new_epoch()
        self._look_at = time.monotonic() + LOOK_EVERY_S

    async def _open_new_epoch(self) -> None:
        """Seal the log, apply what it holds beyond the checkpoint, and begin anew from PostgreSQL."""
        await self.aclose()
        await self._guardian.seal(self._checkpoint)
        while (batch := await self._read(self._checkpoint.position, block_ms=None)).entries:
            await self._commit(batch)
        self._checkpoint = await self._guardian.open_epoch(self._checkpoint)
        self._trimmed_seq = 0
        await self._announce()

    async def _next_batch(self) -> _Batch:
        ahead = self._ahead or asyncio.create_task(self._read(self._checkpoint.position))
        self._ahead = ahead
        batch = await ahead
        follow = batch.entries and batch.hole is None
        self._ahead = asyncio.create_task(self._read(batch.entries[-1].position)) if follow else None
        return batch

    async def _read(self, after: Position, block_ms: int | None = WAIT_MS) -> _Batch:
        answer = await self._reader.entries({self._partition: after}, block_ms=block_ms, limit=self._read_entries)
        found = answer.get(self._partition, [])
        entries = _dense(after, found)
        hole = found[len(entries)].position if len(entries) < len(found) else None
        changes = sum(len(entry.changes) for entry in entries)
        if changes:
            fitting = COMMIT_CHANGES * len(entries) // changes
            self._read_entries = max(1, min(fitting, 2 * self._read_entries, _MOST_ENTRIES))
        try:
            return _Batch(entries, project(entries), hole)
        except msgspec.DecodeError:
            return _Batch(entries, None, hole)

    async def _commit(self, batch: _Batch) -> None:
        with _SECONDS.time():
            try:
                self._checkpoint = await self._committer.commit(self._checkpoint, batch.entries, batch.projection)
            except Exception as error:
                if poison_code(error) is None:
                    raise
                self._may_owe_compensation = True
                self._checkpoint = await commit_around(
                    self._committer, self._connection, self._checkpoint, batch.entries
                )
        _APPLIED.inc(sum(len(entry.changes) for entry in batch.entries))
        _LATE.inc(sum(len(entry.late) for entry in batch.entries))
        await self._announce()

    async def _announce(self) -> None:
        _SEQ.labels(str(self._partition)).set(self._checkpoint.position.seq)
        await self._redis.publish(self._keys.applied, str(self._checkpoint.position))

    async def _trim(self) -> None:
        """Forget entries that are applied and outside of the replay window."""
        epoch, seq = self._checkpoint.position.epoch, self._checkpoint.position.seq - REPLAY_ENTRIES
        if seq - self._trimmed_seq >= _TRIM_EVERY_ENTRIES:
            await self._redis.xtrim(self._keys.log, minid=str(Position(epoch, seq)), approximate=True)
            self._trimmed_seq = seq


def _dense(after: Position, entries: Sequence[Entry]) -> list[ChangeSet]:
    """Return the change sets up to the first hole, or the first entry of another epoch."""
    dense: list[ChangeSet] = []
    for entry in entries:
        if not isinstance(entry, ChangeSet) or entry.position.epoch != after.epoch or not entry.position.follows(after):
            break
        dense.append(entry)
        after = entry.position
    return dense
