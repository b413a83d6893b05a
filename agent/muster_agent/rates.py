"""Turns counters that only grow into rates, and processor times into a share."""

from __future__ import annotations

from collections.abc import Mapping


class CounterRates:
    """Per-second rates of named counters between one reading and the next.

    A counter has no rate when it is seen for the first time, when it went backwards (the device or the kernel
    started anew; what was counted in between is unknown), or when no time has passed.
    """

    def __init__(self) -> None:
        self._before: Mapping[str, int] = {}
        self._before_s = 0.0

    def update(self, counters: Mapping[str, int], now_s: float) -> dict[str, float]:
        """Take a reading made at `now_s` (monotonic) and give the rates that are known, per second."""
        before, elapsed_s = self._before, now_s - self._before_s
        self._before, self._before_s = dict(counters), now_s
        if elapsed_s <= 0:
            return {}
        return {
            name: (count - before[name]) / elapsed_s
            for name, count in counters.items()
            if name in before and count >= before[name]
        }


def total_rate(rates: Mapping[str, float]) -> float | None:
    """Add up the rates of all devices; None where not one is known."""
    return sum(rates.values()) if rates else None


def busy_percent(before: Mapping[str, float], after: Mapping[str, float], idle: frozenset[str]) -> float | None:
    """Give the share of the time between two readings that was not spent in the `idle` states, 0 to 100.

    `before` and `after` are seconds per state, which must not overlap. Single states may go back a little
    (Linux corrects iowait and steal); such a state counts as unchanged. None when no time has passed.
    """
    spent = {state: max(0.0, seconds - before.get(state, seconds)) for state, seconds in after.items()}
    total_s = sum(spent.values())
    if total_s <= 0:
        return None
    idle_s = sum(seconds for state, seconds in spent.items() if state in idle)
    # Rounding can lead a little past the ends.
    return min(100.0, max(0.0, 100.0 * (total_s - idle_s) / total_s))
