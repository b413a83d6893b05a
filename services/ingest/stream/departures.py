"""Whose closed connections mean that they are gone, and when the fault is likelier to be ours. Pure.

A connection that breaks shortens the deadline of its server. When very many break at once, a proxy or a network before
us has: no deadline is shortened then, and whoever does not return is found by its silence.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

HELD_SHARE = 0.3
"""A larger share of the streams than this, broken at about the same time, is taken for our fault."""

HELD_LEAST = 5
"""Fewer than this never are."""

_Stream = TypeVar("_Stream")


class Departures(Generic[_Stream]):
    """Those whose connections broke, until the next round but one: by then all who broke with them are known."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._settling: list[tuple[str, _Stream]] = []
        self._fresh: list[tuple[str, _Stream]] = []

    def note(self, agent_id: str, stream: _Stream) -> None:
        """Note that a connection of an agent broke."""
        self._fresh.append((agent_id, stream))

    def judge(self, standing: int) -> tuple[Sequence[_Stream], bool]:
        """Return those of the round before, and whether they are gone; `standing` streams are left now.

        Those of the rounds before and after them count with them: what breaks at once may take a moment to be noticed.
        An agent counts once, however often it comes and goes.
        """
        judged, settling = [stream for _, stream in self._settling], _agents_of(self._settling)
        together = len(self._before | settling | _agents_of(self._fresh))
        self._before, self._settling, self._fresh = settling, self._fresh, []
        is_ours = together >= HELD_LEAST and together > HELD_SHARE * (standing + together)
        return judged, not is_ours


def _agents_of(departures: Iterable[tuple[str, object]]) -> set[str]:
    return {agent_id for agent_id, _ in departures}
