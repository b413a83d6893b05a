"""What an applier does while it holds a partition: look after the log, apply what it says, announce, trim."""

import time
from collections.abc import Sequence

import structlog
from asyncpg import Connection
from redis.asyncio import Redis

from services.worker.commit import Committer
from services.worker.dead_letters import commit_around, compensate, poison_code
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
BATCH_ENTRIES = 500
"""How many entries of the log one transaction takes at the most."""
REPLAY_ENTRIES = 10_000
"""How many applied entries stay in the log, for clients and replicas that resume."""
_TRIM_EVERY_ENTRIES = 1_000

_APPLIED = Counter("muster_applied_changes_total", "Changes committed to PostgreSQL")
_SECONDS = Histogram("muster_apply_seconds", "Time to commit one batch of entries")
_SEQ = Gauge("muster_applied_seq", "Sequence number of the checkpoint", ["partition"])


class Tenure:
    """Works on one partition with the connection that holds its lock; `step` is called over and over."""

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
        self._look_at = 0.0
        self._trimmed_seq = 0
        self._may_owe_compensation = True

    def look_again(self) -> None:
        """Distrust the log before the next step: the connection to it was lost."""
        self._look_at = 0.0

    async def step(self) -> None:
        """Look after the log if it is time, then wait shortly for entries and apply them.

        Raises RedisError and RetryLater when the log is away, asyncpg's errors and Overtaken when the tenure is over.
        """
        if time.monotonic() >= self._look_at:
            await self._look()
        entries = await self._read()
        if entries:
            await self._apply(entries)
        if self._may_owe_compensation:
            await compensate(self._changes, self._connection, self._partition)
            self._may_owe_compensation = False

    async def _look(self) -> None:
        reason = await self._guardian.distrust(self._checkpoint)
        if reason is not None:
            log.warning("log is distrusted", partition=self._partition, reason=reason)
            await self._open_new_epoch()
        self._look_at = time.monotonic() + LOOK_EVERY_S

    async def _open_new_epoch(self) -> None:
        """Seal the log, apply what it holds beyond the checkpoint, and begin anew from PostgreSQL."""
        await self._guardian.seal()
        while entries := await self._read(block_ms=None):
            await self._apply(entries)
        self._checkpoint = await self._guardian.open_epoch(self._checkpoint)
        self._trimmed_seq = 0
        await self._announce()

    async def _read(self, block_ms: int | None = int(LOOK_EVERY_S * 1000)) -> list[ChangeSet]:
        """Read what follows the checkpoint without a hole, within its epoch; a hole makes the log distrusted."""
        after = self._checkpoint.position
        answer = await self._reader.entries({self._partition: after}, block_ms=block_ms, limit=BATCH_ENTRIES)
        entries = answer.get(self._partition, [])
        dense = _dense(after, entries)
        if entries and not dense:
            self.look_again()
            log.error("hole in the log", partition=self._partition, after=str(after), found=str(entries[0].position))
            if block_ms is not None:
                await self._open_new_epoch()
        return dense

    async def _apply(self, entries: list[ChangeSet]) -> None:
        with _SECONDS.time():
            try:
                self._checkpoint = await self._committer.commit(self._checkpoint, entries)
            except Exception as error:
                if poison_code(error) is None:
                    raise
                self._may_owe_compensation = True
                self._checkpoint = await commit_around(self._committer, self._connection, self._checkpoint, entries)
        _APPLIED.inc(sum(len(entry.changes) for entry in entries))
        await self._announce()
        await self._trim()

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
