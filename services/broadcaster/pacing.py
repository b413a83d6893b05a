"""When a topic's next frame may go out: the first change at once, then at most one frame a tick. Pure."""

from math import inf


class Pacing:
    """Tells when to send what has changed. Times are seconds of the caller's clock."""

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

    def sent(self, now: float) -> None:
        """Note that everything was sent; what changes from now on waits for the end of the tick."""
        self.is_pending = False
        self._free_at = now + self._tick_s
