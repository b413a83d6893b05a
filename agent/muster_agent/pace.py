"""Decides when missed samples may be sent, and how many at once: gently, and never in the way of a live one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

# Every agent of a fleet comes back from the same outage: they begin within so many intervals.
SPREAD_INTERVALS = 6.0
FIRST_LIMIT = 10
LARGEST_LIMIT = 500
LARGEST_BYTES = 256 * 1024


class Pace:
    """The rate of what is sent late. Times are of the monotonic clock; `uniform(low, high)` is the source of chance.

    A request with late samples that took longer than half an interval is halved the next time, one that took less is
    doubled, up to what the server's rate allows in a second: so a slow line is not taken away from live samples.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._per_s = 0.0
        self._interval_s = 0.0
        self._fitting = FIRST_LIMIT
        self._next_s = math.inf

    def begin(self, per_s: float, interval_s: float, now_s: float) -> None:
        """Note that the server has come back; what was missed follows in a while."""
        self.change(per_s, interval_s)
        self._fitting = FIRST_LIMIT
        self._next_s = now_s + self._uniform(0.0, SPREAD_INTERVALS * interval_s)

    def change(self, per_s: float, interval_s: float) -> None:
        """Note that the server wishes another rate, in samples a second; 0 holds everything back."""
        self._per_s = per_s
        self._interval_s = interval_s

    @property
    def next_s(self) -> float:
        """When late samples may be sent."""
        return self._next_s if self._per_s > 0 else math.inf

    def limit(self) -> int:
        """Give how many samples may go at once."""
        return max(1, min(self._fitting, int(self._per_s), LARGEST_LIMIT))

    def sent(self, count: int, now_s: float) -> None:
        """Note that so many were sent now."""
        self._next_s = max(self._next_s, now_s + count / self._per_s)

    def hold(self, until_s: float) -> None:
        """Send none before `until_s`."""
        self._next_s = max(self._next_s, until_s)

    def answered(self, took_s: float) -> None:
        """Note how long the answer to the last ones took."""
        if took_s > self._interval_s / 2:
            self.shrink()
        else:
            self._fitting = min(2 * self.limit(), LARGEST_LIMIT)

    def shrink(self) -> None:
        """Note that the last ones were too many."""
        self._fitting = max(1, self.limit() // 2)
