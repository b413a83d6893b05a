"""When a topic's next frame may go out: the first change at once, then at most one frame a tick. Pure."""

from math import inf

REST = 1.0
"""How long to pause after a fan-out, in its own lengths: the sending takes at most half of the time, so that a topic
with more subscribers than a tick has room for sends less often instead of keeping the process from everything else."""


class Pacing:
    """Tells when to send what has changed. Times are seconds of the caller's clock."""

    __slots__ = ("_free_at", "_tick_s", "is_pending")

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._free_at = -inf
        self.is_pending = False
        """Whether something changed that was not sent."""

    @property
    def due_at(self) -> float:
        """When to send: a time that may have passed, or infinity when nothing has changed."""
        return self._free_at if self.is_pending else inf

    def mark(self) -> None:
        """Note that something has changed."""
        self.is_pending = True

    def clear(self) -> None:
        """Forget what has changed: it will be sent in another way."""
        self.is_pending = False

    def sent(self, began: float, ended: float) -> None:
        """Note that everything was sent between these moments; what changes later waits for the end of the tick."""
        self.is_pending = False
        self._free_at = max(began + self._tick_s, ended + REST * (ended - began))
