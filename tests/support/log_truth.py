"""What the log says: every topic as it stood at each version of each epoch, read from the log itself."""

import asyncio
import json
from collections.abc import Mapping
from zlib import crc32

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.change import ChangeSet, Entry, EpochOpened
from shared.io.changelog.read import LogReader
from shared.names import Topic, partition_of
from shared.position import Position
from tests.support.client_topic import ClientTopic, Item

Fold = Mapping[str, Item]
"""The records of a topic at one version."""

MAX_FOLDS = 20_000
"""How many folds of a topic are kept: far more than any client is behind."""

_READ_WITHIN_S = 30.0
_PAUSE_S = 0.02


class LogTruth:
    """Reads every entry before it is trimmed: whoever trims calls `read` first, or `take` for what it has hidden.

    `positions` says for each partition how far it has read; `epochs` which epoch is open there.
    """

    def __init__(self, redis: Redis, topics: list[Topic]) -> None:
        self.topics = topics
        self.positions: dict[int, Position] = {partition_of(topic.workspace_id): Position(0, 0) for topic in topics}
        self.versions_read = 0
        self.lock = asyncio.Lock()
        self._redis = redis
        self._standing: dict[Topic, tuple[int, int]] = {}
        self._folds: dict[Topic, dict[tuple[int, int], Fold]] = {topic: {} for topic in topics}
        self._planned: dict[tuple[int, int], dict[Topic, tuple[int, Fold]]] = {}

    def standing(self, topic: Topic) -> tuple[int, int]:
        """Return the newest epoch and version that were read of a topic."""
        return self._standing[topic]

    def fold(self, topic: Topic, *, behind: int = 0) -> tuple[int, Fold]:
        """Return a topic as it stands, or as it stood some versions ago in the same epoch, with the version."""
        epoch, version = self._standing[topic]
        oldest = min(v for e, v in self._folds[topic] if e == epoch)
        version = max(version - behind, oldest)
        return version, self._folds[topic][epoch, version]

    def digest(self, topic: Topic) -> int:
        """Return the digest of a topic as it stands."""
        _, fold = self.fold(topic)
        return sum(crc32(f"{record_id}:{item.version}".encode()) for record_id, item in fold.items()) % 2**32

    def plan(self, partition: int, epoch: int, states: dict[Topic, tuple[int, Fold]]) -> None:
        """Say with which states an epoch is about to be opened."""
        self._planned[partition, epoch] = states

    async def skip_to_end(self, partition: int) -> None:
        """Pass over what is in the log already."""
        last = await LogReader(self._redis).last_position(partition)
        self.positions[partition] = last or self.positions[partition]

    async def read(self) -> None:
        """Read to the end of the log; waits for a server that is away."""
        async with self.lock:
            deadline = asyncio.get_running_loop().time() + _READ_WITHIN_S
            while True:
                try:
                    found = await LogReader(self._redis).entries(self.positions, block_ms=None)
                except (RedisError, OSError):
                    assert asyncio.get_running_loop().time() < deadline, "the log cannot be read"
                    await asyncio.sleep(_PAUSE_S)
                    continue
                if not found:
                    return
                for partition, entries in found.items():
                    for entry in entries:
                        self.take(partition, entry)

    def take(self, partition: int, entry: Entry) -> None:
        """Take the next entry of a partition."""
        assert entry.position.follows(self.positions[partition]) or entry.position.seq == 0, "an entry was lost"
        self.positions[partition] = entry.position
        if isinstance(entry, EpochOpened):
            for topic, (version, fold) in self._planned.pop((partition, entry.position.epoch)).items():
                self._put(topic, entry.position.epoch, version, fold)
        elif entry.topic in self._folds:
            self._fold_in(entry)

    async def confirm(self, topic: Topic, state: ClientTopic) -> None:
        """Assert that a client holds what was true at its own epoch and version."""
        if state.epoch is None:
            return
        at = int(state.epoch), state.version
        if at not in self._folds[topic]:
            await self.read()
        assert at in self._folds[topic], f"{topic} never was at {at}; it stands at {self._standing[topic]}"
        fold = self._folds[topic][at]
        if fold != state.items:
            raise AssertionError(f"{topic} at {at} is {_brief(fold)}, a client has {_brief(state.items)}")

    def _fold_in(self, entry: ChangeSet) -> None:
        standing = self._standing[entry.topic]
        assert (entry.position.epoch, entry.prev) == standing, f"{entry.position} does not follow {standing}"
        records = self._folds[entry.topic][standing]
        for change in entry.changes:
            folded = dict(records)
            if change.data is None:
                folded.pop(change.id, None)
            else:
                folded[change.id] = Item(change.version, json.loads(bytes(change.data)))
            records = folded
            self.versions_read += 1
            self._put(entry.topic, entry.position.epoch, change.version, records)

    def _put(self, topic: Topic, epoch: int, version: int, fold: Fold) -> None:
        folds = self._folds[topic]
        folds[epoch, version] = fold
        self._standing[topic] = epoch, version
        if len(folds) > MAX_FOLDS:
            del folds[next(iter(folds))]


def _brief(fold: Fold) -> dict[str, tuple[int, str]]:
    return {record_id: (item.version, str(item.data)[:40]) for record_id, item in sorted(fold.items())}
