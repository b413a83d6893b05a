"""Whose closed connections mean that they are gone, and when the fault is likelier to be ours. Pure.

A connection that breaks shortens the deadline of its server. When very many break at once, a proxy or a network before
us has: no deadline is shortened then, and whoever does not return is found by its silence.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

HELD_SHARE = 0.3
"""A larger share of the streams than this, broken at about the same time, is taken for our fault."""

HELD_LEAST = 5
"""Fewer than this never are."""

_Stream = TypeVar("_Stream")


class Departures(Generic[_Stream]):
    """Those whose connections broke, until the next round but one: by then all who broke with them are known."""

    def __init__(self) -> None:
        self._judged_before = 0
        self._settling: list[_Stream] = []
        self._fresh: list[_Stream] = []

    def note(self, stream: _Stream) -> None:
        """Note that a connection broke."""
        self._fresh.append(stream)

    def judge(self, standing: int) -> tuple[Sequence[_Stream], bool]:
        """Return those of the round before, and whether they are gone; `standing` streams are left now.

        Those of the rounds before and after them count with them: what breaks at once may take a moment to be noticed.
        """
        judged, together = self._settling, self._judged_before + len(self._settling) + len(self._fresh)
        self._judged_before, self._settling, self._fresh = len(self._settling), self._fresh, []
        is_ours = together >= HELD_LEAST and together > HELD_SHARE * (standing + together)
        return judged, not is_ours
