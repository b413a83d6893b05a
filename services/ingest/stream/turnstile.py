"""Spreads a fleet that comes back at once: so many may shake hands at a time, the others return one by one. Pure."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import RetryLater

MOST_AT_ONCE = 32
"""How many agents may shake hands at a time in a process: each reads and writes records, and keeps samples waiting."""

RETURN_AFTER_S = (1.0, 8.0)


class Turnstile:
    """Counts who is passing. `uniform(low, high)` is the source of chance."""

    def __init__(self, most: int = MOST_AT_ONCE, *, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._most = most
        self._uniform = uniform
        self._passing = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Pass while the block runs; raises RetryLater, for a moment of each one's own, when too many are passing."""
        if self._passing >= self._most:
            raise RetryLater("many agents shake hands just now", retry_after_s=self._uniform(*RETURN_AFTER_S))
        self._passing += 1
        try:
            yield
        finally:
            self._passing -= 1
