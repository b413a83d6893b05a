"""When a build has proved that it works: the server has accepted its samples, now and after a while."""

from __future__ import annotations

import time
from collections.abc import Callable


class Proof:
    """To be called whenever the server has accepted samples; calls `act` once, `after_s` after it was made or later."""

    def __init__(
        self, act: Callable[[], None], after_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._act = act
        self._monotonic = monotonic
        self._due_s = monotonic() + after_s
        self._is_given = False

    def __call__(self) -> None:
        """Note that samples were accepted."""
        if not self._is_given and self._monotonic() >= self._due_s:
            self._is_given = True
            self._act()
