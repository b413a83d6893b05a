"""What a client has missed of one topic, found by going back through the log from its newest entry. Pure.

Versions are dense, so the way back is whole if each change set begins where the one found before it must follow:
nothing is ever answered across a hole.
"""

from collections import deque

import msgspec

from shared.change import Change, ChangeSet
from shared.errors import MustRefetch
from shared.protocol import Since
from shared.topic import Span, conflate, size_of

ANSWER_BYTES = 256_000
"""About how large one answer gets; a single record may be larger."""

KEPT_BYTES = 8_000_000
"""How much of the way back is kept; beyond, the newest changes are let go and left to the next answer."""


class Missed(msgspec.Struct, frozen=True):
    """The first, or the only, part of what was missed; with `more`, the next part begins at the span's version."""

    span: Span
    more: bool


class WayBack:
    """The way from `version`, where a topic stands in its `epoch`, back to the one that a client has.

    Whoever reads the log backwards gives it each change set of the topic (`take`) until it `is_complete`.
    Raises MustRefetch for a client of another epoch, or one that claims to have seen what has not happened.
    """

    def __init__(self, since: Since, *, epoch: int, version: int, kept_bytes: int = KEPT_BYTES) -> None:
        if since.epoch != str(epoch):
            raise MustRefetch(f"epoch {since.epoch} is over or never was: it is {epoch}")
        if since.version > version:
            raise MustRefetch(f"version {since.version} is ahead of {version}, the newest of epoch {epoch}")
        self.epoch = epoch
        self._since = since.version
        self._version = self._reached = version
        self._kept: deque[ChangeSet] = deque()
        self._kept_bytes = kept_bytes
        self._size_bytes = 0

    @property
    def is_complete(self) -> bool:
        """Whether the client's version is reached."""
        return self._reached <= self._since

    def take(self, change_set: ChangeSet) -> None:
        """Take the next older change set; what is newer than the head is left out. Raises MustRefetch at a hole."""
        nothing_changed = change_set.prev == change_set.version
        if nothing_changed or change_set.prev >= self._version or self.is_complete:
            return
        if change_set.position.epoch != self.epoch or change_set.version != self._reached:
            raise MustRefetch(f"the log has a hole before version {self._reached} of epoch {self.epoch}")
        self._reached = change_set.prev
        self._kept.appendleft(change_set)
        self._size_bytes += _size_bytes(change_set)
        while self._size_bytes > self._kept_bytes and len(self._kept) > 1:
            self._size_bytes -= _size_bytes(self._kept.pop())

    def missed(self, *, answer_bytes: int = ANSWER_BYTES) -> Missed:
        """Return the first part of what was missed; raises MustRefetch when the way did not reach so far back."""
        if not self.is_complete:
            raise MustRefetch(f"the log reaches back to version {self._reached}, not to {self._since}")
        span = next(conflate(self._since, self._changes(), span_bytes=answer_bytes), Span(self._since, self._since, ()))
        return Missed(span, more=span.version < self._version)

    def _changes(self) -> list[Change]:
        return [change for kept in self._kept for change in kept.changes if change.version > self._since]


def _size_bytes(change_set: ChangeSet) -> int:
    return sum(map(size_of, change_set.changes))
