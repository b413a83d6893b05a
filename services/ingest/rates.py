"""How much each of many callers may do: one number for each, bounded in memory. Pure; the clock is passed in."""

from collections.abc import Callable, Hashable


class Rates:
    """Lets every key do `per_s` things a second, and `burst` at once.

    The generic cell rate algorithm: of each key only the moment is kept at which its bucket will be full again
    (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). Beyond `capacity` keys the oldest one starts afresh.

    Whoever may do one thing may do a larger one, and owes the rest: what is worth more than `burst` can be done, too,
    and what a request costs may be found out once it is under way. It adds up to `per_s` all the same.
    """

    def __init__(self, *, per_s: float, burst: float, capacity: int, clock: Callable[[], float]) -> None:
        if burst < 1:
            raise ValueError("with less than one thing at once there is never anything to be done")
        self._per_s = per_s
        self._burst_s = burst / per_s
        self._capacity = capacity
        self._clock = clock
        self._full_at: dict[Hashable, float] = {}

    def take(self, key: Hashable, amount: int = 1) -> float:
        """Return 0 when `key` may go on, and take `amount`; else how many seconds to wait, and nothing was taken."""
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now)
        wait_s = full_at + 1 / self._per_s - now - self._burst_s
        if wait_s > 0:
            return wait_s
        self._keep(key, full_at + amount / self._per_s)
        return 0.0

    def charge(self, key: Hashable, amount: int) -> None:
        """Take `amount` in any case: what is not there is owed."""
        now = self._clock()
        self._keep(key, max(self._full_at.get(key, now), now) + amount / self._per_s)

    def owed_s(self, key: Hashable) -> float:
        """Return for how many seconds `key` owes something, 0 when it does not."""
        now = self._clock()
        return max(self._full_at.get(key, now) - now - self._burst_s, 0.0)

    def _keep(self, key: Hashable, full_at: float) -> None:
        self._full_at[key] = full_at
        if len(self._full_at) > self._capacity:
            del self._full_at[next(iter(self._full_at))]
