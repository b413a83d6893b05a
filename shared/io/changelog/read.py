"""Reading what the log says: its entries as they come, a topic's snapshot, single records, versions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from redis.asyncio import Redis

from shared.change import ChangeSet, Entry, decode_entry
from shared.errors import LogSealed
from shared.missed import ANSWER_BYTES, Missed, WayBack
from shared.names import PARTITIONS, PartitionKeys, Topic, partition_of
from shared.position import Position
from shared.protocol import Since
from shared.topic import Head, Record, Snapshot

MISSED_ENTRIES = 10_000
"""How many entries of a partition are looked through for what a client has missed: as many as the applier leaves."""

PAGE_ENTRIES = 500
"""How many of them are read at once."""


def split_state(record_id: str, value: bytes) -> Record:
    """Read a value of the state hash, `<version> <data>`."""
    version, _, data = value.partition(b" ")
    return Record(record_id, int(version), data)


def _own(topic: Topic, found: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> Iterator[ChangeSet]:
    """Yield a topic's change sets among entries as Redis returns them."""
    name = str(topic).encode()
    for entry_id, fields in found:
        if fields.get(b"topic") == name:
            entry = decode_entry(entry_id, fields)
            if isinstance(entry, ChangeSet):
                yield entry


class LogReader:
    """Reads the change log and the hot state beside it; holds nothing but the connection pool."""

    def __init__(self, redis: Redis, *, partitions: int = PARTITIONS) -> None:
        self._redis = redis
        self.partitions = partitions
        self._logs = [PartitionKeys(partition).log for partition in range(partitions)]
        self._partition_of_log = {log.encode(): partition for partition, log in enumerate(self._logs)}

    def _keys(self, topic: Topic) -> PartitionKeys:
        return PartitionKeys(partition_of(topic.workspace_id, self.partitions))

    async def check_open(self) -> None:
        """Raise LogSealed unless every partition has an open epoch."""
        epochs = await self._redis.mget([PartitionKeys(partition).epoch for partition in range(self.partitions)])
        sealed = [partition for partition, epoch in enumerate(epochs) if epoch is None]
        if sealed:
            raise LogSealed(f"partitions {sealed} are sealed")

    async def snapshot(self, topic: Topic) -> Snapshot:
        """Read a topic at one moment; raises LogSealed while no epoch is open."""
        keys = self._keys(topic)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(keys.epoch)
            pipe.hget(keys.versions, str(topic))
            pipe.hgetall(keys.state(topic))
            epoch, version, state = await pipe.execute()
        if epoch is None:
            raise LogSealed(f"the log of {topic} is sealed")
        records = (split_state(record_id.decode(), value) for record_id, value in state.items())
        return Snapshot(int(epoch), int(version or 0), tuple(records))

    async def head(self, topic: Topic) -> Head:
        """Read where a topic stands; raises LogSealed while no epoch is open."""
        keys = self._keys(topic)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(keys.epoch)
            pipe.hget(keys.began, str(topic))
            pipe.hget(keys.versions, str(topic))
            epoch, began, version = await pipe.execute()
        if epoch is None:
            raise LogSealed(f"the log of {topic} is sealed")
        return Head(int(epoch), int(began or 0), int(version or 0))

    async def records(self, topic: Topic, ids: Iterable[str]) -> dict[str, Record]:
        """Read single records; those that do not exist are missing from the answer."""
        wanted = list(ids)
        if not wanted:
            return {}
        values = await self._redis.hmget(self._keys(topic).state(topic), wanted)  # type: ignore[misc]  # redis-py types it for both of its clients
        return {
            record_id: split_state(record_id, value)
            for record_id, value in zip(wanted, values, strict=True)
            if value is not None
        }

    async def sample_window(self, topic: Topic, record_id: str) -> str:
        """Read which samples of a server were taken in, as the append script writes it; empty where none were."""
        window: bytes | None = await self._redis.hget(self._keys(topic).samples, f"{topic}:{record_id}")  # type: ignore[misc]  # redis-py types it for both of its clients
        return (window or b"").decode()

    async def holders(self, topic: Topic, field: str, values: Sequence[str]) -> dict[str, str]:
        """Return which records hold these values of a unique field; those that nobody holds are missing."""
        if not values:
            return {}
        key = self._keys(topic).unique(topic, field)
        held = await self._redis.hmget(key, list(values))  # type: ignore[misc]  # redis-py types it for both of its clients
        return {value: holder.decode() for value, holder in zip(values, held, strict=True) if holder is not None}

    async def versions(self, workspace_id: str) -> tuple[int, dict[str, int]]:
        """Read the epoch and, by resource, the versions of a workspace's topics; raises LogSealed."""
        keys = PartitionKeys(partition_of(workspace_id, self.partitions))
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(keys.epoch)
            pipe.hgetall(keys.versions)
            epoch, versions = await pipe.execute()
        if epoch is None:
            raise LogSealed(f"the log of {workspace_id} is sealed")
        topics = ((Topic.parse(topic.decode()), int(version)) for topic, version in versions.items())
        return int(epoch), {t.resource: version for t, version in topics if t.workspace_id == workspace_id}

    async def entries(
        self, after: Mapping[int, Position], *, block_ms: int | None, limit: int = 1000
    ) -> dict[int, list[Entry]]:
        """Wait up to `block_ms` (None: not at all) for entries after these positions, up to `limit` for each."""
        streams = {self._logs[partition]: str(position) for partition, position in after.items()}
        answer = await self._redis.xread(streams, count=limit, block=block_ms)  # type: ignore[arg-type]  # a dict of str is what it takes
        return {
            self._partition_of_log[name]: [decode_entry(entry_id, fields) for entry_id, fields in entries]
            for name, entries in answer
        }

    async def last_position(self, partition: int) -> Position | None:
        """Return the position of the newest entry, None for an empty log."""
        newest = await self._redis.xrevrange(PartitionKeys(partition).log, count=1)
        return Position.parse(newest[0][0]) if newest else None

    async def recent_by_topic(self, partition: int, *, entries: int, size_bytes: int) -> dict[Topic, list[ChangeSet]]:
        """Return the change sets of a partition's newest entries, oldest first.

        Goes back through at most `entries` entries, and stops once they have `size_bytes` of changes.
        """
        found: list[ChangeSet] = []
        newest = "+"
        while entries > 0 and size_bytes > 0:
            page = await self._redis.xrevrange(self._logs[partition], max=newest, count=min(100, entries))
            if not page:
                break
            decoded = [decode_entry(entry_id, fields) for entry_id, fields in page]
            found += [entry for entry in decoded if isinstance(entry, ChangeSet)]
            entries -= len(page)
            size_bytes -= sum(len(fields.get(b"changes", b"")) for _, fields in page)
            newest = f"({page[-1][0].decode()}"
        by_topic: dict[Topic, list[ChangeSet]] = {}
        for change_set in reversed(found):
            by_topic.setdefault(change_set.topic, []).append(change_set)
        return by_topic

    async def missed(
        self,
        topic: Topic,
        since: Since,
        *,
        entries: int = MISSED_ENTRIES,
        page: int = PAGE_ENTRIES,
        answer_bytes: int = ANSWER_BYTES,
    ) -> Missed:
        """Return the first part of what happened in a topic after what a client has seen.

        Goes back through at most `entries` entries of the partition, `page` at a time. Raises LogSealed, and
        MustRefetch when what was missed is not known any more, or `since` never was.
        """
        keys = self._keys(topic)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(keys.epoch)
            pipe.hget(keys.versions, str(topic))
            epoch, version = await pipe.execute()
        if epoch is None:
            raise LogSealed(f"the log of {topic} is sealed")
        way = WayBack(since, epoch=int(epoch), version=int(version or 0))
        # of this epoch alone, whichever is open by the time that they are read
        oldest = newest = str(way.epoch)
        while entries > 0 and not way.is_complete:
            found = await self._redis.xrevrange(keys.log, max=newest, min=oldest, count=min(page, entries))
            for change_set in _own(topic, found):
                way.take(change_set)
            if len(found) < page:
                break
            entries -= len(found)
            newest = f"({found[-1][0].decode()}"
        return way.missed(answer_bytes=answer_bytes)
