"""The one way into the change log: producers' operations, gathered into calls of the append script.

While a call of a partition is under way, what arrives waits for the next, and goes in all at once: under load the
calls grow, without load nothing waits. Once enough waits for it, a second call is sent before the first is answered, so
that Redis has work while the answers are given.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import AlreadyExists, Conflict, LogSealed, NotFound, Overloaded, Rejected
from shared.io.changelog.gather import gather
from shared.io.changelog.script import Rejection, append_script, decode_result, encode_call
from shared.names import PARTITIONS, PartitionKeys, is_id, partition_of
from shared.operation import Appended, Failure, Operation

log = structlog.get_logger(__name__)

MAX_CALL_DRAFTS = 512
"""A call gathers operations up to so many drafts: enough to share a sync of the disk, few enough that Redis is held up
for no more than some milliseconds."""

MAX_CALLS = 2
"""How many calls of a partition may be under way."""

SECOND_CALL_DRAFTS = 64
"""How many drafts must wait for a second call to be worth its while."""

MAX_CALL_BYTES = 4_000_000
"""And of data no more than this, but for what was submitted together."""

MAX_WAITING_DRAFTS = 50_000
MAX_WAITING_BYTES = 64_000_000
"""Beyond so many drafts, or so much data in them, waiting for one partition, new operations are refused as Overloaded.
"""

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5


class _Waiting:
    """An operation with the future of its result."""

    __slots__ = ("give_up_at", "operation", "result")

    def __init__(self, operation: Operation, give_up_at: float, result: asyncio.Future[Appended]) -> None:
        self.operation = operation
        self.give_up_at = give_up_at
        self.result = result

    def settle(self, outcome: Appended | Exception) -> None:
        if self.result.done():  # the caller has gone
            return
        if isinstance(outcome, Exception):
            self.result.set_exception(outcome)
        else:
            self.result.set_result(outcome)


class _Submission:
    """Operations that were submitted together: they go into one call, in their order."""

    __slots__ = ("drafts", "size_bytes", "waiting")

    def __init__(self, waiting: list[_Waiting], drafts: int, size_bytes: int) -> None:
        self.waiting = waiting
        self.drafts = drafts
        self.size_bytes = size_bytes


class ChangeLog:
    """Appends operations; one for each process, to be closed with `aclose`."""

    def __init__(self, redis: Redis, *, partitions: int = PARTITIONS) -> None:
        self._appenders = [_PartitionAppender(redis, partition) for partition in range(partitions)]

    async def append(self, operation: Operation, *, timeout_s: float = 5.0) -> Appended:
        """Append one operation and return what became of it.

        Raises Rejected (Conflict, AlreadyExists, NotFound) when an operation with an id cannot happen,
        LogSealed when the log did not open, or Redis did not answer, within `timeout_s`, and Overloaded.
        After LogSealed the outcome may be unknown: repeat with the same id, or with the same samples.
        """
        (waiting,) = self._appender_of(operation.topic.workspace_id).submit((operation,), timeout_s)
        return await waiting.result

    async def append_all(self, operations: Sequence[Operation], *, timeout_s: float = 5.0) -> list[Appended | Rejected]:
        """Append operations of one workspace in this order, in one call; each succeeds or is rejected alone.

        Raises LogSealed and Overloaded as `append` does, for all of them.
        """
        (workspace_id,) = {operation.topic.workspace_id for operation in operations}
        waiting = self._appender_of(workspace_id).submit(operations, timeout_s)
        results: list[Appended | Rejected] = []
        for one in waiting:
            try:
                results.append(await one.result)
            except Rejected as error:
                results.append(error)
        return results

    def _appender_of(self, workspace_id: str) -> "_PartitionAppender":
        return self._appenders[partition_of(workspace_id, len(self._appenders))]

    async def aclose(self) -> None:
        """Append what waits, then stop; call it once nothing is submitted any more."""
        await asyncio.gather(*(appender.aclose() for appender in self._appenders))


class _PartitionAppender:
    """Gathers the operations of one partition and sends them, at most `MAX_CALLS` calls at a time."""

    def __init__(self, redis: Redis, partition: int) -> None:
        self._redis = redis
        self._partition = partition
        self._keys = PartitionKeys(partition)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch: int | None = None
        self._queue: deque[_Submission] = deque()
        self._queued_drafts = 0
        self._queued_bytes = 0
        self._sending = 0
        self._senders: set[asyncio.Task[None]] = set()

    def submit(self, operations: Sequence[Operation], timeout_s: float) -> list[_Waiting]:
        drafts = size_bytes = 0
        for operation in operations:
            size_bytes += _checked_size(operation)
            drafts += len(operation.drafts)
        if self._queued_drafts + drafts > MAX_WAITING_DRAFTS or self._queued_bytes + size_bytes > MAX_WAITING_BYTES:
            raise Overloaded(f"{self._queued_drafts} changes wait for partition {self._partition}")
        if self._loop is None:  # asking for it costs a system call each time
            self._loop = asyncio.get_running_loop()
        loop = self._loop
        give_up_at = loop.time() + timeout_s
        waiting = [_Waiting(operation, give_up_at, loop.create_future()) for operation in operations]
        self._queue.append(_Submission(waiting, drafts, size_bytes))
        self._queued_drafts += drafts
        self._queued_bytes += size_bytes
        if self._sending == 0 or (self._sending < MAX_CALLS and self._queued_drafts >= SECOND_CALL_DRAFTS):
            self._start_sender()
        return waiting

    async def aclose(self) -> None:
        await asyncio.gather(*self._senders)

    def _start_sender(self) -> None:
        self._sending += 1
        sender = asyncio.create_task(self._send_queue())
        self._senders.add(sender)
        sender.add_done_callback(self._senders.discard)

    async def _send_queue(self) -> None:
        try:
            while self._queue:
                await self._send_batch(self._take_batch())
        finally:
            self._sending -= 1

    async def _send_batch(self, batch: list[_Submission]) -> None:
        everyone = [waiting for submission in batch for waiting in submission.waiting]
        try:
            await self._send(everyone)
        except LogSealed as error:
            self._expire(batch, error)
        except Exception as error:
            # whoever waits must hear of it, whatever it was
            for waiting in everyone:
                waiting.settle(error)
            if not isinstance(error, RedisError | Overloaded):
                log.exception("an append failed in a way that nobody expected", partition=self._partition)

    def _expire(self, batch: list[_Submission], error: LogSealed) -> None:
        """Tell all whose time is up, also of those that wait; the others go to the front of the queue again."""
        over = asyncio.get_running_loop().time() + _LONGEST_PAUSE_S
        kept: deque[_Submission] = deque()
        for submission in (*batch, *self._queue):
            if submission.waiting[0].give_up_at > over:
                kept.append(submission)
                continue
            for waiting in submission.waiting:
                waiting.settle(error)
        self._queue = kept
        self._queued_drafts = sum(submission.drafts for submission in kept)
        self._queued_bytes = sum(submission.size_bytes for submission in kept)

    def _take_batch(self) -> list[_Submission]:
        batch: list[_Submission] = []
        queue, drafts, size_bytes = self._queue, 0, 0
        while queue and not (
            batch and (drafts + queue[0].drafts > MAX_CALL_DRAFTS or size_bytes + queue[0].size_bytes > MAX_CALL_BYTES)
        ):
            submission = queue.popleft()
            drafts += submission.drafts
            size_bytes += submission.size_bytes
            batch.append(submission)
        self._queued_drafts -= drafts
        self._queued_bytes -= size_bytes
        return batch

    async def _send(self, batch: list[_Waiting]) -> None:
        groups = gather([waiting.operation for waiting in batch])
        arguments = encode_call([group.operation for group in groups])
        replies = await self._call(arguments, min(waiting.give_up_at for waiting in batch))
        for group, reply in zip(groups, replies, strict=True):
            result = decode_result(reply)
            for index, outcome in group.split(result):
                batch[index].settle(as_error(outcome) if isinstance(outcome, Rejection) else outcome)

    async def _call(self, arguments: list[str | bytes | int], give_up_at: float) -> list[list[object]]:
        """Call the script until it answers; the log may be sealed, or Redis away, for a while."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if self._epoch is None:
                    self._epoch = await self._read_epoch()
                _, sha = append_script(self._partition, self._epoch)
                async with asyncio.timeout_at(give_up_at):
                    return await self._redis.evalsha(sha, 0, *arguments)  # type: ignore[no-any-return, arg-type, misc]  # redis-py types it for both of its clients
            except (LogSealed, RedisConnectionError, RedisTimeoutError, TimeoutError) as error:
                reason: Exception = error
            except ResponseError as error:
                reason = _passing(error)
            self._epoch = None
            if asyncio.get_running_loop().time() + pause_s >= give_up_at:
                raise LogSealed(f"partition {self._partition} did not accept in time") from reason
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  (spreads retries, no secret)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _read_epoch(self) -> int:
        epoch = await self._redis.get(self._keys.epoch)
        if epoch is None:
            raise LogSealed(f"partition {self._partition} is sealed")
        return int(epoch)


def _passing(error: ResponseError) -> ResponseError:
    """Return a refusal that passes by itself; raise Overloaded or, for one that does not pass, the error."""
    if str(error).startswith("OVERLOADED"):
        raise Overloaded("the log waits to be applied", retry_after_s=5) from error
    # https://github.com/valkey-io/valkey/blob/unstable/src/server.c, createSharedObjects
    passing = ("SEALED", "NOREPLICAS", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "TRYAGAIN")
    if isinstance(error, NoScriptError | OutOfMemoryError | ReadOnlyError) or str(error).startswith(passing):
        return error
    raise error


def _checked_size(operation: Operation) -> int:
    """Return how much data an operation has, in bytes; raises ValueError for what cannot be the id of a record."""
    checked, size_bytes = None, 0
    for draft in operation.drafts:
        size_bytes += len(draft.data)
        if draft.id != checked:
            checked = draft.id
            if not is_id(checked):
                raise ValueError(f"{checked!r} cannot be the id of a record")
    return size_bytes


_ERRORS: dict[str, Callable[[Failure], Rejected]] = {
    "version_conflict": lambda f: Conflict(f"the record is at version {f.detail} now"),
    "already_exists": lambda _: AlreadyExists("a record with this id exists"),
    "not_found": lambda _: NotFound("there is no such record"),
    "not_unique": lambda f: AlreadyExists(f"another record has this {f.detail}", code="not_unique", field=f.detail),
    "orphan": lambda _: NotFound("the record it belongs to does not exist", code="orphan"),
    "not_due": lambda _: Conflict("the deadline has moved", code="not_due"),
    "duplicate": lambda _: Conflict("this sample was taken in before", code="duplicate"),
}


def as_error(rejection: Rejection) -> Rejected:
    """Return the error that tells a caller why the whole operation was refused."""
    error = _ERRORS[rejection.failure.code](rejection.failure)
    error.index = rejection.index
    return error
