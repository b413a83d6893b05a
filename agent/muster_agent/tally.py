"""Gathers what happens often into a line of the log now and then."""

from __future__ import annotations

from collections import Counter

PERIOD_S = 60.0


class Tally:
    """Counts by key, and gives what has gathered at most once every `period_s`: the first time at once."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._gathered: Counter[str] = Counter()
        self._told_s: float | None = None

    def count(self, key: str, times: int = 1) -> None:
        """Note that `key` has happened."""
        self._gathered[key] += times

    def due(self, now_s: float) -> dict[str, int]:
        """Give the counts since they were given last; empty while there are none, or it is too early."""
        too_early = self._told_s is not None and now_s - self._told_s < self._period_s
        if too_early or not self._gathered:
            return {}
        gathered, self._gathered, self._told_s = dict(self._gathered), Counter(), now_s
        return gathered
