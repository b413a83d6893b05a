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

    __slots__ = ("_asked_at", "_due_at", "_measured", "_newest_seq", "boot_id", "told_s")

    def __init__(self, boot_id: str, told_s: float | None, *, newest_seq: int = 0) -> None:
        self.told_s = told_s
        self.boot_id = boot_id
        self._newest_seq = newest_seq
        self._asked_at: float | None = None
        self._due_at = 0.0
        self._measured: tuple[float, ...] = ()

    def is_due(self, clock_s: float) -> bool:
        """Whether it is time to measure again, by a clock that never goes back."""
        return clock_s >= self._due_at

    def may_be_over(self, clock_s: float) -> bool:
        """Whether to look up if another start has shaken hands, because a sample of another came; now and then only."""
        if self._asked_at is not None and clock_s < self._asked_at + MEASURE_EVERY_S:
            return False
        self._asked_at = clock_s
        return True

    def measure(self, boot_id: str, seq: int, ts: datetime, now: datetime, clock_s: float) -> float | None:
        """Take a sample that came at `now`; return what the record is to say from now on, None when it may stay."""
        if boot_id != self.boot_id or seq <= self._newest_seq:
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
