"""The newest entries of the log, read once for all topics of a partition that are opened at the same time."""

import asyncio

from shared.change import ChangeSet
from shared.io.changelog.read import LogReader
from shared.names import Topic, partition_of

MAX_ENTRIES = 1_000
"""How far back the log is read when a topic is opened, so that clients of an earlier process can resume."""

MAX_BYTES = 8_000_000
"""How much of it is read at most."""


class RecentEntries:
    """Whoever asks while a read is under way shares the next one, which begins after everyone has asked."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._locks: dict[int, asyncio.Lock] = {}
        self._next: dict[int, asyncio.Task[dict[Topic, list[ChangeSet]]]] = {}

    async def of(self, topic: Topic) -> list[ChangeSet]:
        """Return a topic's change sets among the newest entries, oldest first, as of a moment after this call."""
        partition = partition_of(topic.workspace_id, self._reader.partitions)
        read = self._next.get(partition)
        if read is None:
            read = self._next[partition] = asyncio.create_task(self._read(partition))
        # shielded: others wait for the same
        return (await asyncio.shield(read)).get(topic, [])

    async def _read(self, partition: int) -> dict[Topic, list[ChangeSet]]:
        async with self._locks.setdefault(partition, asyncio.Lock()):
            del self._next[partition]
            return await self._reader.recent_by_topic(partition, entries=MAX_ENTRIES, size_bytes=MAX_BYTES)
