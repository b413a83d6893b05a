"""How much each of many callers may do: one number for each, bounded in memory. Pure; the clock is passed in."""

from collections.abc import Callable, Hashable


class Rates:
    """Lets every key do `per_s` things a second, and `burst` at once.

    The generic cell rate algorithm: of each key only the moment is kept at which its bucket will be full again
    (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). Beyond `capacity` keys the oldest one starts afresh.
    """

    def __init__(self, *, per_s: float, burst: float, capacity: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst_s = burst / per_s
        self._capacity = capacity
        self._clock = clock
        self._full_at: dict[Hashable, float] = {}

    def take(self, key: Hashable, amount: int) -> float:
        """Return 0 when `key` may do `amount` things now; else how many seconds to wait, and nothing was taken."""
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now) + amount / self._per_s
        wait_s = full_at - now - self._burst_s
        if wait_s > 0:
            return wait_s
        self._full_at[key] = full_at
        if len(self._full_at) > self._capacity:
            del self._full_at[next(iter(self._full_at))]
        return 0.0
