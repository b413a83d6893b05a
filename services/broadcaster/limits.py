"""What one client may do, and how many there may be. Pure."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of connections; times in seconds. Behind one address there may be a whole office.

    A client may send `messages_burst` messages at once, and `messages_per_s` in the long run.
    """

    connections: int = 20_000
    connections_per_user: int = 200
    connections_per_address: int = 2_000
    subscriptions: int = 64
    message_bytes: int = 16_384
    messages_burst: int = 200
    messages_per_s: float = 20.0
    auth_within_s: float = 5.0


class TokenBucket:
    """Tells whether one more may pass: `burst` at once, `per_s` in the long run."""

    def __init__(self, burst: int, per_s: float, now: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Let one pass, if one may; `now` is seconds of a clock that never goes back."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
