"""What is to be looked at when: a heap of due times, at most one for each item. Pure."""

import heapq
from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

_Item = TypeVar("_Item", bound=Hashable)

_FEW = 32  # times that do not count any more, which are not worth a look


class Agenda(Generic[_Item]):
    """Due times of items, in seconds of the caller's clock; the earliest one given for an item counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Item]] = []
        self._due: dict[_Item, float] = {}
        self._added = 0

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next_due(self) -> float:
        """When the first item is due; infinity when there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def add(self, item: _Item, due: float) -> None:
        """Look at `item` at `due`, unless it is to be looked at earlier anyway."""
        if due < self._due.get(item, inf):
            self._due[item] = due
            self._added += 1
            heapq.heappush(self._heap, (due, self._added, item))
            if len(self._heap) > 2 * len(self._due) + _FEW:
                self._drop_outdated()

    def discard(self, item: _Item) -> None:
        """Do not look at `item`."""
        self._due.pop(item, None)

    def pop_due(self, now: float) -> list[_Item]:
        """Take out the items that are due, the earliest first."""
        items: list[_Item] = []
        while self.next_due <= now:
            item = heapq.heappop(self._heap)[2]
            del self._due[item]
            items.append(item)
        return items

    def _drop_outdated(self) -> None:
        self._heap = [(due, number, item) for number, (item, due) in enumerate(self._due.items())]
        heapq.heapify(self._heap)
