"""One topic as a client holds it: a state machine without I/O that never applies across a gap.

`ask` says what to subscribe with, `receive` takes what the server says and tells what it led to.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from zlib import crc32

import msgspec

from muster_client.messages import (
    Bookmark,
    Change,
    Changes,
    Full,
    Item,
    Position,
    Snapshot,
    Subscribed,
    Sync,
    TopicMessage,
)

MAX_HELD = 256
"""Frames of changes that may wait for the rest of a snapshot. What comes beyond them shows as a gap, which heals."""

MAX_UNMATCHED = 2
"""Bookmarks in a row that cannot be compared before the topic is asked for again; the first may be early."""


def digest_of(items: Iterable[Item]) -> int:
    """Return the sum of `crc32("<id>:<version>")` over records, modulo 2^32, as bookmarks carry it."""
    return sum(crc32(f"{item.id}:{item.version}".encode()) for item in items) % 2**32


class Awaiting(Enum):
    """What was asked for and is not answered yet.

    While a snapshot is awaited, what is held is not trusted: nothing is applied to it, and it is not resumed from.
    """

    NOTHING = "nothing"
    RESUME = "resume"
    SNAPSHOT = "snapshot"


class Step(msgspec.Struct, frozen=True):
    """What a message led to."""

    applied: Sequence[Change] = ()
    """Changes that were applied, in order."""
    is_replaced: bool = False
    """Whether all records were replaced."""
    must_ask: bool = False
    """Whether the caller must subscribe again, with `ask`."""
    proof: bool | None = None
    """Of a bookmark of the version that is held: whether the records are the server's."""


STILL = Step()
ASK = Step(must_ask=True)


class _Assembly:
    """A snapshot of which some parts have come, and the changes that came meanwhile."""

    def __init__(self, first: Snapshot, held: list[Changes]) -> None:
        self.first = first
        self.parts: dict[int, Snapshot] = {}
        self.held = held

    def takes(self, part: Snapshot) -> bool:
        mine = self.first
        return (mine.epoch, mine.version, mine.parts) == (part.epoch, part.version, part.parts)


class TopicState:
    """The records of one topic, and where they stand.

    `position` is None until something is known. With `since` it begins there without any records, and holds no more
    than what has changed after it, until a snapshot comes.
    """

    def __init__(self, since: Position | None = None) -> None:
        self.items: dict[str, Item] = {}
        self.position = since
        self.is_partial = since is not None
        self.awaiting = Awaiting.SNAPSHOT if since is None else Awaiting.RESUME
        self._assembly: _Assembly | None = None
        self._unmatched = 0

    @property
    def is_current(self) -> bool:
        """Whether this is what the server last said, with nothing asked and unanswered."""
        return self.position is not None and self.awaiting is Awaiting.NOTHING and self._assembly is None

    @property
    def digest(self) -> int:
        """The digest of the records that are held."""
        return digest_of(self.items.values())

    def ask(self) -> Position | None:
        """Return the `since` to subscribe with now, on a new connection or again on the same one."""
        since = None if self.awaiting is Awaiting.SNAPSHOT else self.position
        self.awaiting = Awaiting.SNAPSHOT if since is None else Awaiting.RESUME
        self._assembly = None
        self._unmatched = 0
        return since

    def receive(self, message: TopicMessage) -> Step:
        """Take one message of the topic."""
        match message:
            case Changes():
                return self._take_changes(message)
            case Sync(id=id_, action=action, version=version, data=data):
                return self._take_changes(
                    Changes(
                        topic=message.topic,
                        epoch=message.epoch,
                        prev=version - 1,
                        version=version,
                        changes=(Change(id_, action, version, data),),
                    )
                )
            case Snapshot():
                return self._take_part(message)
            case Full():
                return self._take_full(message)
            case Subscribed():
                return self._take_subscribed(message)
            case Bookmark():
                return self._take_bookmark(message)

    def _take_changes(self, message: Changes) -> Step:
        mine = self.position
        if self._assembly is not None:
            if len(self._assembly.held) < MAX_HELD:
                self._assembly.held.append(message)
            return STILL
        if mine is None or self.awaiting is Awaiting.SNAPSHOT:
            return STILL
        if message.epoch != mine.epoch:
            return self._refetch() if self.awaiting is Awaiting.NOTHING else STILL
        if message.version <= mine.version:
            return STILL
        if message.prev > mine.version:
            return self._resume() if self.awaiting is Awaiting.NOTHING else STILL
        applied = tuple(change for change in message.changes if change.version > mine.version)
        for change in applied:
            self._apply(change)
        self.position = Position(mine.epoch, message.version)
        self._unmatched = 0
        return Step(applied)

    def _apply(self, change: Change) -> None:
        if change.action == "deleted" or change.data is None:
            self.items.pop(change.id, None)
        else:
            self.items[change.id] = Item(change.id, change.version, change.data)

    def _take_part(self, message: Snapshot) -> Step:
        if self._is_outdated(message):
            return STILL
        assembly = self._assembly
        if assembly is None or not assembly.takes(message):
            assembly = self._assembly = _Assembly(message, assembly.held if assembly else [])
        assembly.parts[message.part] = message
        if len(assembly.parts) < message.parts:
            return STILL
        self._install(message, (item for part in assembly.parts.values() for item in part.items))
        must_ask = False
        for changes in assembly.held:
            must_ask |= self._take_changes(changes).must_ask
        return Step(is_replaced=True, must_ask=must_ask)

    def _take_full(self, message: Full) -> Step:
        if self._is_outdated(message):
            return STILL
        if self.position is not None and self.awaiting is Awaiting.NOTHING and message.epoch != self.position.epoch:
            return self._refetch()
        if self.awaiting is not Awaiting.SNAPSHOT and self.position == Position(message.epoch, message.version):
            self.awaiting = Awaiting.NOTHING
            if not self.is_partial:
                return STILL
        self._install(message, message.items)
        return Step(is_replaced=True)

    def _is_outdated(self, message: Snapshot | Full) -> bool:
        """Whether a snapshot is older than what is held, and answers nothing.

        One that does is taken: then what is held is of a version that the server has never had.
        """
        mine = self.position
        if mine is None or self.awaiting is not Awaiting.NOTHING:
            return False
        return message.epoch == mine.epoch and message.version < mine.version

    def _install(self, message: Snapshot | Full, items: Iterable[Item]) -> None:
        self.items.clear()
        self.items.update((item.id, item) for item in items)
        self.position = Position(message.epoch, message.version)
        self.is_partial = False
        self.awaiting = Awaiting.NOTHING
        self._assembly = None
        self._unmatched = 0

    def _take_subscribed(self, message: Subscribed) -> Step:
        mine = self.position
        if mine is None or self.awaiting is Awaiting.SNAPSHOT:
            return STILL  # the answer to an earlier question
        if message.epoch != mine.epoch:
            return self._refetch()
        self.awaiting = Awaiting.NOTHING
        return STILL

    def _take_bookmark(self, message: Bookmark) -> Step:
        mine = self.position
        if mine is None or not self.is_current:
            return self._refetch() if self._is_unmatched_again() else STILL
        if message.epoch != mine.epoch:
            return self._refetch()
        if message.version > mine.version:
            # its changes may be on their way, and are missed only if they do not come
            return self._resume() if self._is_unmatched_again() else STILL
        return self._compare(message.digest) if message.version == mine.version else STILL

    def _compare(self, digest: int) -> Step:
        self._unmatched = 0
        if self.is_partial:
            return STILL
        if digest == self.digest:
            return Step(proof=True)
        self._refetch()
        return Step(must_ask=True, proof=False)

    def _is_unmatched_again(self) -> bool:
        self._unmatched += 1
        return self._unmatched >= MAX_UNMATCHED

    def _resume(self) -> Step:
        self.awaiting = Awaiting.RESUME
        return ASK

    def _refetch(self) -> Step:
        self.awaiting = Awaiting.SNAPSHOT
        return ASK
