"""Decides how long to wait before the next attempt, so that a fleet does not return all at once."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_WINDOW_S = 1.0
LAST_WINDOW_S = 60.0
LONGEST_RETRY_AFTER_S = 3600.0
RETRY_AFTER_SPREAD = 0.1


class Backoff:
    """Exponential backoff with full jitter, 1 s to 60 s (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Call `next_delay_s` after each failure and `reset` once something was delivered.
    `uniform(low, high)` is the source of chance.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._window_s = FIRST_WINDOW_S

    def next_delay_s(self, retry_after_s: float | None = None) -> float:
        """Give the seconds to wait now, and widen the window for the next time.

        The server's `Retry-After` wins over the window. Up to a tenth is added to it, because every agent of a
        fleet was told the same number; beyond an hour it is not believed.
        """
        window_s = self._window_s
        self._window_s = min(2 * window_s, LAST_WINDOW_S)
        if retry_after_s is None:
            return self._uniform(0.0, window_s)
        asked_s = min(retry_after_s, LONGEST_RETRY_AFTER_S)
        return asked_s + self._uniform(0.0, RETRY_AFTER_SPREAD * asked_s)

    def spread_s(self, least_s: float, spread_s: float) -> float:
        """Give a wait of `least_s` and up to `spread_s` more, whatever failed before."""
        return least_s + self._uniform(0.0, spread_s)

    def reset(self) -> None:
        """Begin again with the smallest window."""
        self._window_s = FIRST_WINDOW_S
