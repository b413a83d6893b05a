"""The state of one topic: the fold of its change sets, a ring of the recent ones, the answer to a resume.

Pure: change sets and snapshots go in, spans and verdicts come out. The rules are those of `docs/protocol.md`:
versions are dense, so contiguity is `prev == mine`, and nothing is ever applied across a gap.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from zlib import crc32

import msgspec

from shared.change import Change, ChangeSet
from shared.errors import MustRefetch


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as it stands: `version` is the topic's version at its last change, `data` its JSON."""

    id: str
    version: int
    data: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """All records of a topic at one version of one epoch."""

    epoch: int
    version: int
    records: tuple[Record, ...]


class Head(msgspec.Struct, frozen=True):
    """Where a topic stands: the open epoch, the version with which that began, and the version now."""

    epoch: int
    began: int
    version: int


class Span(msgspec.Struct, frozen=True):
    """What happened between two versions of a topic, conflated: the last change of each record, in order."""

    prev: int
    version: int
    changes: tuple[Change, ...]


class Resume(Enum):
    """What a client that remembers `{epoch, version}` can be given."""

    RECOVER = "recover"
    """The span since its version is in the ring."""
    WAIT = "wait"
    """It has seen more than this replica: answer when this one has caught up."""
    REFETCH = "refetch"
    """Another epoch, or the ring does not reach back so far: a snapshot."""


def digest_of(record_id: str, version: int) -> int:
    """Return one record's share of a topic's digest: crc32 of `<id>:<version>`."""
    return crc32(f"{record_id}:{version}".encode())


def size_of(change: Change) -> int:
    """Return about how many bytes a change takes, in memory and in a frame."""
    return 100 + (0 if change.data is None else len(memoryview(change.data)))


def conflate(prev: int, changes: Iterable[Change], *, span_bytes: int) -> Iterator[Span]:
    """Merge contiguous changes, from `prev + 1` on, into spans of at most about `span_bytes` bytes each.

    Each span leads exactly to the state at its version: what is merged is cut between versions, not between records.
    """
    last: dict[str, Change] = {}
    size_bytes = 0
    version = prev
    for change in changes:
        added_bytes = size_of(change) - (size_of(last[change.id]) if change.id in last else 0)
        if last and size_bytes + added_bytes > span_bytes:
            yield Span(prev, version, tuple(last.values()))
            last, size_bytes, prev, added_bytes = {}, 0, version, size_of(change)
        last.pop(change.id, None)
        last[change.id] = change
        size_bytes += added_bytes
        version = change.version
    if last:
        yield Span(prev, version, tuple(last.values()))


class TopicState:
    """Folds the change sets of one topic into its records, and remembers the recent changes.

    The ring holds at most `ring_changes` changes and `ring_bytes` bytes of data; the oldest leave first.
    """

    def __init__(self, snapshot: Snapshot, *, ring_changes: int = 10_000, ring_bytes: int = 8_000_000) -> None:
        self.epoch = snapshot.epoch
        self.version = snapshot.version
        self.records = {record.id: record for record in snapshot.records}
        self.digest = sum(digest_of(r.id, r.version) for r in snapshot.records) % 2**32
        self._ring: deque[Change] = deque()
        self._ring_size_bytes = 0
        self._ring_changes = ring_changes
        self._ring_bytes = ring_bytes

    @property
    def ring_floor(self) -> int:
        """The oldest version from which the ring can bring a client up to date."""
        return self.version - len(self._ring)

    def apply(self, change_set: ChangeSet) -> bool:
        """Fold one change set in; False when it was known already, or belongs to an epoch that is over.

        Raises MustRefetch when it belongs to a later epoch or does not follow: the caller loads a snapshot.
        """
        if change_set.position.epoch > self.epoch:
            raise MustRefetch(f"epoch {change_set.position.epoch} after {self.epoch}")
        if change_set.position.epoch < self.epoch or change_set.version <= self.version:
            return False
        if change_set.prev > self.version:
            raise MustRefetch(f"change set {change_set.prev}..{change_set.version} after version {self.version}")
        for change in change_set.changes:
            if change.version > self.version:
                self._fold(change)
                self._remember(change)
        return True

    def warm(self, change_sets: Iterable[ChangeSet]) -> None:
        """Fill the ring with change sets that lead up to this state, so that clients of an earlier process can resume.

        What belongs to another epoch, came later than this state, or leaves a hole before it, is left out.
        """
        recent: list[Change] = []
        for change_set in change_sets:
            if change_set.position.epoch != self.epoch or change_set.prev >= self.version:
                continue
            if recent and change_set.prev != recent[-1].version:
                recent.clear()
            recent.extend(change for change in change_set.changes if change.version <= self.version)
        if recent and recent[-1].version == self.version and not self._ring:
            for change in recent:
                self._remember(change)

    def resume(self, epoch: int, version: int) -> Resume:
        """Decide what a client that has seen `version` of `epoch` can be given."""
        if epoch != self.epoch or version < self.ring_floor:
            return Resume.REFETCH
        return Resume.WAIT if version > self.version else Resume.RECOVER

    def since(self, version: int, *, span_bytes: int = 256_000) -> list[Span]:
        """Return what happened after `version`, in order, conflated into spans of about `span_bytes` at most.

        Raises MustRefetch when the ring does not reach back so far.
        """
        return list(conflate(version, self.changes_since(version), span_bytes=span_bytes))

    def changes_since(self, version: int) -> list[Change]:
        """Return every change after `version`, in order; raises MustRefetch as `since` does."""
        if not self.ring_floor <= version <= self.version:
            raise MustRefetch(f"version {version} is outside {self.ring_floor}..{self.version}")
        return list(islice(reversed(self._ring), self.version - version))[::-1]

    def snapshot(self) -> Snapshot:
        """Return all records as they stand."""
        return Snapshot(self.epoch, self.version, tuple(self.records.values()))

    def _fold(self, change: Change) -> None:
        old = self.records.pop(change.id, None)
        if old is not None:
            self.digest -= digest_of(old.id, old.version)
        if change.data is not None:
            # bytes() copies: a view would keep the whole change set in memory
            self.records[change.id] = Record(change.id, change.version, bytes(change.data))
            self.digest += digest_of(change.id, change.version)
        self.digest %= 2**32
        self.version = change.version

    def _remember(self, change: Change) -> None:
        self._ring.append(change)
        self._ring_size_bytes += size_of(change)
        while len(self._ring) > self._ring_changes or self._ring_size_bytes > self._ring_bytes:
            self._ring_size_bytes -= size_of(self._ring.popleft())
