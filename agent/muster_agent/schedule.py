"""Places samples on a fixed grid of the monotonic clock, free of drift and of bursts."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """The instants `origin_s + n * interval_s`, in seconds of the monotonic clock."""

    origin_s: float
    interval_s: float

    def next_after(self, now_s: float) -> float:
        """Give the first instant of the grid that is later than `now_s`.

        Instants that passed meanwhile are skipped: after a suspended machine wakes there is nothing to measure in
        the time that it slept.
        """
        if now_s < self.origin_s:
            return self.origin_s
        steps = math.floor((now_s - self.origin_s) / self.interval_s) + 1
        instant_s = self.origin_s + steps * self.interval_s
        # Rounding of the division can give the very instant that has just been used.
        return instant_s if instant_s > now_s else self.origin_s + (steps + 1) * self.interval_s
