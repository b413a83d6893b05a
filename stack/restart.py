"""Decides how long a program that ended by itself stays down before it is started again."""

from __future__ import annotations

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
HEALTHY_AFTER_S = 30.0


class RestartDelays:
    """Doubles the delay with every early end of one program; one that ran for a while starts over.

    The first delay is short because most crashes are single ones, and others wait for the program.
    """

    def __init__(self) -> None:
        self._next_s = FIRST_DELAY_S

    def after(self, ran_for_s: float) -> float:
        """Return the delay in seconds after a run that lasted so long."""
        if ran_for_s >= HEALTHY_AFTER_S:
            self._next_s = FIRST_DELAY_S
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, LONGEST_DELAY_S)
        return delay_s
