"""Waiting until PostgreSQL holds what was appended to the log.

The appliers announce the position of each commit on a channel of Redis, and store the outcome of each operation in the
transaction that they announce. An announcement that gets lost costs time only: while somebody waits, the checkpoints
are read as well, every `poll_interval_s`.
"""

import asyncio
import heapq
from collections.abc import Mapping
from itertools import count
from typing import Any

import asyncpg
import msgspec
import structlog
from redis.asyncio import Redis

from shared.errors import RetryLater
from shared.io.announcements import cancel, listen
from shared.io.database.queries import queries
from shared.io.faults import LOST_CONNECTION
from shared.io.telemetry import Histogram
from shared.names import PARTITIONS, PartitionKeys
from shared.position import Position

log = structlog.get_logger(__name__)

_SECONDS = Histogram("muster_commit_wait_seconds", "Time from an append to the answer that it is committed")
_LISTEN_PAUSE_S = 0.5


class OperationLost(RetryLater):
    """A new epoch began without the operation: it did not happen, and may be appended again."""

    code = "operation_lost"


class Outcome(msgspec.Struct, frozen=True):
    """What PostgreSQL says of an operation that was applied.

    `rejected` is a code when its records could not be stored; they are then put back to what they were.
    """

    position: Position
    prev: int
    version: int
    rejected: str | None = None


class _Waiting:
    """Somebody who wants to know of an operation, or (without an id) of a position."""

    def __init__(self, partition: int, position: Position, operation_id: str) -> None:
        self.partition = partition
        self.position = position
        self.operation_id = operation_id
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()


class CommitWaiter:
    """Tells when operations are committed; one for each process, with `run` as a background task."""

    def __init__(
        self, redis: Redis, pool: asyncpg.Pool, *, partitions: int = PARTITIONS, poll_interval_s: float = 0.25
    ) -> None:
        self._redis = redis
        self._pool = pool
        self._poll_interval_s = poll_interval_s
        self._partition_of_channel = {PartitionKeys(p).applied.encode(): p for p in range(partitions)}
        self._applied: dict[int, Position] = {}
        self._waiting: dict[int, list[tuple[Position, int, _Waiting]]] = {p: [] for p in range(partitions)}
        self._due: list[_Waiting] = []
        self._order = count()
        self._wake = asyncio.Event()
        self._look_at = 0.0

    async def wait(
        self, partition: int, position: Position, operation_id: str = "", *, timeout_s: float = 5.0
    ) -> Outcome | None:
        """Wait until `position` is committed and return what became of the operation there; None after `timeout_s`.

        Without an id the outcome tells the position only. Raises OperationLost.
        """
        waiting = _Waiting(partition, position, operation_id)
        if self._is_applied(partition, position):
            self._due.append(waiting)
        else:
            heapq.heappush(self._waiting[partition], (position, next(self._order), waiting))
        self._wake.set()
        try:
            with _SECONDS.time():
                async with asyncio.timeout(timeout_s):
                    return await waiting.outcome
        except TimeoutError:
            return None

    async def run(self, ending: asyncio.Event) -> None:
        """Listen and answer those who wait, until `ending`."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._listen()), group.create_task(self._answer())]
            await ending.wait()
            await cancel(tasks)

    def _is_applied(self, partition: int, position: Position) -> bool:
        applied = self._applied.get(partition)
        return applied is not None and applied >= position

    def _note(self, partition: int, applied: Position) -> None:
        """Remember how far a partition has been applied; who waited for that is due."""
        if self._is_applied(partition, applied):
            return
        self._applied[partition] = applied
        waiting = self._waiting[partition]
        while waiting and waiting[0][0] <= applied:
            self._due.append(heapq.heappop(waiting)[2])
            self._wake.set()

    async def _listen(self) -> None:
        """Follow the announcements, over any number of connections."""

        async def begun() -> None:
            self._look_at = 0.0  # for what was announced before
            self._wake.set()

        async def heard(message: Mapping[str, Any]) -> None:
            self._note(self._partition_of_channel[message["channel"]], Position.parse(message["data"]))

        channels = list(self._partition_of_channel)
        await listen(self._redis, channels, begun=begun, heard=heard, pause_s=_LISTEN_PAUSE_S)

    async def _answer(self) -> None:
        """Answer who is due at once, and look at the checkpoints now and then while somebody waits."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._something_to_do()
            try:
                if clock() >= self._look_at:
                    self._look_at = clock() + self._poll_interval_s
                    await self._read_checkpoints()
                await self._settle_due()
            except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
                log.warning("outcomes of operations cannot be read", reason=repr(error))
                await asyncio.sleep(self._poll_interval_s)

    async def _something_to_do(self) -> None:
        """Wait until somebody is due, or waits and it is time to look at the checkpoints."""
        while not self._due:
            self._wake.clear()
            nobody = not any(self._waiting.values())
            try:
                async with asyncio.timeout_at(None if nobody else self._look_at):
                    await self._wake.wait()
            except TimeoutError:
                return
            if nobody:
                self._look_at = asyncio.get_running_loop().time() + self._poll_interval_s

    async def _read_checkpoints(self) -> None:
        async for row in queries("commits").checkpoints(self._pool):
            self._note(row["partition"], Position(row["epoch"], row["seq"]))
        for partition, waiting in self._waiting.items():  # forget those who gave up
            self._waiting[partition] = [entry for entry in waiting if not entry[2].outcome.done()]
            heapq.heapify(self._waiting[partition])

    async def _settle_due(self) -> None:
        """Look up, in one query, what became of the operations that are due."""
        due = [waiting for waiting in self._due if not waiting.outcome.done()]
        ids = list({waiting.operation_id for waiting in due if waiting.operation_id})
        rows = [row async for row in queries("commits").outcomes(self._pool, operation_ids=ids)] if ids else []
        outcomes = {
            row["id"]: Outcome(Position(row["epoch"], row["seq"]), row["prev"], row["version"], row["rejected"])
            for row in rows
        }
        for waiting in due:
            self._settle(waiting, outcomes.get(waiting.operation_id))
        self._due = [waiting for waiting in self._due if not waiting.outcome.done()]

    def _settle(self, waiting: _Waiting, outcome: Outcome | None) -> None:
        if waiting.outcome.done():
            return
        if outcome is not None:
            waiting.outcome.set_result(outcome)
        elif waiting.operation_id and self._applied[waiting.partition].epoch > waiting.position.epoch:
            waiting.outcome.set_exception(OperationLost("the log was started anew without this operation"))
        else:  # without an id, or so long ago that its outcome is remembered no longer
            waiting.outcome.set_result(Outcome(waiting.position, 0, 0))
