"""How far the clock of an agent is ahead of ours, from the times that it tells. Pure."""

from datetime import datetime
from statistics import median_high

TOLD_FROM_S = 1.0
"""By how much the estimate must have moved for it to be told again."""

MEASURE_EVERY_S = 5.0
KEPT = 5


def skew_s(told: datetime, now: datetime) -> float:
    """Return by how many seconds a time that an agent has told just now is ahead, to a tenth."""
    try:
        return round((told - now).total_seconds(), 1)
    except OverflowError:
        return 0.0


class SkewEstimate:
    """The median of the last few measurements of one agent, of two the higher: a message that was held up tells less.

    Only samples of the start that shook hands count, and only those that are newer than all before: what was kept
    during an outage tells when it was taken, and no more. `told_s` is what the agent's record says.
    """

    __slots__ = ("_boot_id", "_due_at", "_measured", "_newest_seq", "told_s")

    def __init__(self, boot_id: str, told_s: float | None) -> None:
        self.told_s = told_s
        self._boot_id = boot_id
        self._newest_seq = 0
        self._due_at = 0.0
        self._measured: tuple[float, ...] = ()

    def is_due(self, clock_s: float) -> bool:
        """Whether it is time to measure again, by a clock that never goes back."""
        return clock_s >= self._due_at

    def measure(self, boot_id: str, seq: int, ts: datetime, now: datetime, clock_s: float) -> float | None:
        """Take a sample that came at `now`; return what the record is to say from now on, None when it may stay."""
        if boot_id != self._boot_id or seq <= self._newest_seq:
            return None
        self._newest_seq = seq
        self._due_at = clock_s + MEASURE_EVERY_S
        self._measured = (*self._measured[1 - KEPT :], skew_s(ts, now))
        if len(self._measured) < KEPT // 2 + 1:
            return None
        estimate_s = median_high(self._measured)
        if abs(estimate_s - (self.told_s or 0.0)) <= TOLD_FROM_S:
            return None
        self.told_s = estimate_s
        return estimate_s
