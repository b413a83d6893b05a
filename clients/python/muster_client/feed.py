"""What one consumer is still to be given of a topic: conflated by record, so that nobody's slowness costs memory.

Whoever folds the changes that `take` gives holds what the topic holds, whatever was lost or refetched in between.
"""

from collections import deque

from muster_client.messages import Change, Item, Position
from muster_client.topic import Step, TopicState

MAX_BLIND = 100_000
"""Records that may wait for a consumer of whom it is not known what they have."""


class Feed:
    """The changes of a topic for one consumer.

    The first `depth` changes that wait are kept one by one; of what waits beyond them, the last change of each record.
    `is_broken` when the consumer went on from a position of its own, and what it missed cannot be told any more.
    """

    def __init__(self, state: TopicState, *, depth: int = 0) -> None:
        self.is_broken = False
        self._state = state
        self._depth = depth
        self._is_blind = state.is_partial  # what the consumer had before is not known here
        self._given: dict[str, Item] = {}  # what the consumer has once it has taken the backlog
        self._backlog: deque[Change] = deque()
        self._due: dict[str, Change] = {}  # in the order in which the records became due
        self._position: Position | None = None
        if not self._is_blind:
            self._find_differences()

    @property
    def position(self) -> Position | None:
        """Up to where the consumer has been given everything; what it has taken since may be more."""
        if not self._backlog and not self._due:
            self._position = self._state.position
        return self._position

    def advance(self, step: Step) -> None:
        """Note what the topic's state has just taken in."""
        if step.is_replaced:
            if self._is_blind:
                self.is_broken = True
            self._find_differences()
        for change in step.applied:
            self._add(change)
        if self._is_blind and len(self._due) > MAX_BLIND:
            self.is_broken = True

    def take(self) -> Change | None:
        """Return the next change, None when there is none."""
        change = self._backlog.popleft() if self._backlog else self._next_due()
        _ = self.position  # remembered now, since the state moves on
        return change

    def _next_due(self) -> Change | None:
        while self._due:
            change = self._as_seen(self._due.pop(next(iter(self._due))))
            if change is not None:
                self._give(change)
                return change
        return None

    def _add(self, change: Change) -> None:
        if not self._due and len(self._backlog) < self._depth:
            seen = self._as_seen(change)
            if seen is not None:
                self._give(seen)
                self._backlog.append(seen)
        elif change.data is None and change.id not in self._given and not self._is_blind:
            self._due.pop(change.id, None)  # the consumer has never heard of it
        else:
            self._due[change.id] = change

    def _find_differences(self) -> None:
        self._due.clear()
        if self._state.position is None:
            return
        for item in self._state.items.values():
            self._due[item.id] = Change(item.id, "created", item.version, item.data)
        for gone in self._given.keys() - self._state.items.keys():
            self._due[gone] = Change(gone, "deleted", self._state.position.version, None)

    def _as_seen(self, change: Change) -> Change | None:
        """Return the change as it is for somebody who has what was given; None when it is none."""
        held = self._given.get(change.id)
        if change.data is None:
            return change if held is not None or self._is_blind else None
        if held is None:
            return change if self._is_blind else Change(change.id, "created", change.version, change.data)
        if (held.version, held.data) == (change.version, change.data):
            return None
        return Change(change.id, "updated", change.version, change.data)

    def _give(self, change: Change) -> None:
        if change.data is None:
            self._given.pop(change.id, None)
        else:
            self._given[change.id] = Item(change.id, change.version, change.data)
