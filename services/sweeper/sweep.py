"""One round over the deadlines that have passed: each becomes a change of its server, by whoever comes first.

Any number of sweepers may run: a deadline is expired in the same step in which the change is appended, and only if it
is still the one that was read.
"""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from itertools import islice

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.sweeper.cleanup import Cleanup
from services.sweeper.liveness import (
    Due,
    Listening,
    Verdict,
    deafness,
    is_long_away,
    is_returning,
    is_way_open,
    judge,
    judge_unheard,
    listening_since_ms,
    longest_gap_ms,
)
from shared.errors import Rejected, RetryLater
from shared.io import telemetry
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import (
    INGEST_HEARD,
    INGEST_LEFT,
    INGEST_PRESENCE,
    INGEST_RETURNED,
    SWEEPS,
    PartitionKeys,
    Topic,
    deadline_of,
    held_deadline_of,
    new_id,
)
from shared.operation import Deadline, Draft, Operation
from shared.resources.servers import Server
from shared.settings import Liveness, StaleAgents
from shared.topic import Record

DEFAULT_STALE = StaleAgents()

log = structlog.get_logger(__name__)

_SWEEP = files(__package__).joinpath("sweep.lua").read_text()
_LARGEST_ROUND = 10_000
_CALL = 200

_FLIPS = telemetry.Counter("muster_sweeper_flips_total", "Servers whose status a sweep changed", ["status"])
_DEAF = telemetry.Counter("muster_sweeper_deaf_total", "Sweeps in which silence meant nothing", ["reason"])


class Sweeper:
    """Sweeps all partitions, over and over."""

    def __init__(
        self,
        redis: Redis,
        changes: ChangeLog,
        reader: LogReader,
        liveness: Liveness,
        stale: StaleAgents = DEFAULT_STALE,
    ) -> None:
        self._redis = redis
        self._changes = changes
        self._reader = reader
        self._interval_s = liveness.sweep_interval_s
        self._offline_after_ms = int(liveness.offline_after_s * 1000)
        self._return_grace_ms = int(liveness.return_grace_s * 1000)
        self._held_for_ms = max(self._offline_after_ms, self._return_grace_ms)
        self._cleanup = Cleanup(redis, changes, reader, threshold_s=stale.agent_stale_threshold_s)
        self._cleanup_interval_s = stale.agent_cleanup_interval_s
        self._refused_ms: dict[int, int] = {}
        """When a partition of the log last took nothing in: nor did it take signs of life then."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep until `stopping`; a round that fails in passing is made up for by the next."""
        clock = asyncio.get_running_loop().time
        cleaned_at = clock()
        while not stopping.is_set():
            try:
                since_ms = await self.sweep()
                if since_ms is not None and clock() - cleaned_at >= self._cleanup_interval_s:
                    cleaned_at = clock()
                    await self._cleanup.clean(since_ms)
            except (RedisError, OSError, RetryLater) as error:
                log.warning("sweep failed", reason=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._interval_s)

    async def sweep(self) -> int | None:
        """Look at every deadline that has passed, once. Raises RedisError and OSError.

        Those of a partition of the log that takes nothing in are left alone, and for as long after that as an agent
        may be silent.

        Return since when (ms) whoever spoke would have been heard; None when silence means nothing.
        """
        now_ms, listening = await self._listen()
        reason = deafness(now_ms, listening, self._offline_after_ms)
        if reason is not None:
            _DEAF.labels(reason).inc()
            log.info("silence means nothing", reason=reason)
            if is_long_away(now_ms, listening, self._offline_after_ms):
                await self._hold_back(now_ms)
            return None
        if is_returning(now_ms, listening, self._return_grace_ms):
            await self._hold_back(now_ms)
        else:
            await self._judge(now_ms, way_open=is_way_open(now_ms, listening, self._return_grace_ms))
        return listening_since_ms(listening)

    async def _hold_back(self, now_ms: int) -> None:
        for partition in self._listening(now_ms):
            await self._act(partition, now_ms, judge_unheard(await self._due(partition, now_ms)))

    async def _judge(self, now_ms: int, *, way_open: bool) -> None:
        for partition in self._listening(now_ms):
            due = await self._due(partition, now_ms)
            if due:
                judged = judge(due, *await self._census(partition, now_ms), way_open=way_open)
                await self._act(partition, now_ms, judged)

    def _listening(self, now_ms: int) -> Iterable[int]:
        """Yield the partitions in which whoever spoke lately has been heard."""
        for partition in range(self._reader.partitions):
            refused_ms = self._refused_ms.get(partition)
            if refused_ms is None or not 0 <= now_ms - refused_ms < self._offline_after_ms:
                yield partition

    async def _listen(self) -> tuple[int, Listening]:
        newest = await self._redis.zrevrange(INGEST_PRESENCE, 0, 0, withscores=True)
        returned, heard, left = await self._redis.mget(INGEST_RETURNED, INGEST_HEARD, INGEST_LEFT)
        noted = (str(longest_gap_ms(self._interval_s)), heard or "", str(self._held_for_ms))
        now, since, unheard = await self._redis.eval(_SWEEP, 1, SWEEPS, *noted)  # type: ignore[misc]  # redis-py types it for both of its clients
        return int(now), Listening(
            swept_since_ms=int(since),
            beat_ms=int(newest[0][1]) if newest else None,
            returned_ms=None if returned is None else int(returned),
            left_ms=None if left is None else int(left),
            unheard_ms=None if unheard is None else int(unheard),
        )

    async def _due(self, partition: int, now_ms: int) -> list[Due]:
        passed = await self._redis.zrangebyscore(
            PartitionKeys(partition).deadlines, "-inf", now_ms, start=0, num=_LARGEST_ROUND, withscores=True
        )
        return [_parse(member, int(score)) for member, score in passed]

    async def _census(self, partition: int, now_ms: int) -> tuple[Counter[str], Counter[str]]:
        """Count by workspace the servers that are silent, and all that have a deadline; not those held back."""
        members = await self._redis.zrange(PartitionKeys(partition).deadlines, 0, -1, withscores=True)
        expected = [one for one in (_parse(member, int(score)) for member, score in members) if not one.is_held]
        silent = Counter(one.workspace_id for one in expected if one.score_ms <= now_ms)
        return silent, Counter(one.workspace_id for one in expected)

    async def _act(self, partition: int, now_ms: int, judged: list[tuple[Due, Verdict]]) -> None:
        """Append the changes of a partition, or note that it takes nothing in."""
        try:
            await self._append(judged)
        except RetryLater as error:
            self._refused_ms[partition] = now_ms
            log.warning("silence means nothing", reason=str(error), partition=partition)

    async def _append(self, judged: list[tuple[Due, Verdict]]) -> None:
        """Append the changes, a call's worth at a time; those that lost against others are left to the next sweep."""
        by_workspace: dict[str, list[tuple[Due, Verdict]]] = {}
        for one, verdict in judged:
            by_workspace.setdefault(one.workspace_id, []).append((one, verdict))
        for workspace_id, ones in by_workspace.items():
            rest = iter(ones)
            while part := list(islice(rest, _CALL)):
                await self._flip(workspace_id, part)

    async def _flip(self, workspace_id: str, part: list[tuple[Due, Verdict]]) -> None:
        topic = Topic(workspace_id, "servers")
        records = await self._reader.records(topic, {one.server_id for one, _ in part})
        operations = [self._operation(topic, one, verdict, records.get(one.server_id)) for one, verdict in part]
        results = await self._changes.append_all(operations)
        for operation, (_, verdict), result in zip(operations, part, results, strict=True):
            if operation.drafts and not isinstance(result, Rejected):
                _FLIPS.labels(verdict.value).inc()

    def _operation(self, topic: Topic, one: Due, verdict: Verdict, record: Record | None) -> Operation:
        """Expire the deadline together with the change that it leads to; without a record there is none."""
        drafts: tuple[Draft, ...] = ()
        deadlines = list(self._deadlines(one, verdict if record is not None else Verdict.OFFLINE))
        if record is not None:
            server = msgspec.json.decode(record.data, type=Server)
            changed = msgspec.structs.replace(server, status=verdict.value, last_seen=self._last_seen(one, server))
            if changed != server:
                data = msgspec.json.encode(changed)
                drafts = (Draft(id=one.server_id, action="update", data=data, expect=record.version),)
        return Operation(topic=topic, drafts=drafts, actor="sweeper", id=new_id("op"), deadlines=tuple(deadlines))

    def _last_seen(self, one: Due, server: Server) -> dt.datetime | None:
        if one.is_held:  # it was noted when the server became unknown
            return server.last_seen
        heard = dt.datetime.fromtimestamp((one.score_ms - self._offline_after_ms) / 1000, dt.UTC)
        # a deadline that a broken stream has shortened tells less
        return heard if server.last_seen is None else max(heard, server.last_seen)

    def _deadlines(self, one: Due, verdict: Verdict) -> Iterable[Deadline]:
        name = held_deadline_of if one.is_held else deadline_of
        yield Deadline("expire", name(one.workspace_id, one.server_id), one.score_ms)
        if verdict is Verdict.UNKNOWN:
            yield Deadline("arm", held_deadline_of(one.workspace_id, one.server_id), self._held_for_ms)


def _parse(member: bytes, score_ms: int) -> Due:
    workspace_id, server_id, *held = member.decode().split(":")
    return Due(score_ms, workspace_id, server_id, bool(held))
