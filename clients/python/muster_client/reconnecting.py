"""When to come back after a connection has ended: the protocol's table of close codes, and the pauses. Pure."""

import re
from enum import IntEnum

import msgspec

FIRST_S, LONGEST_S = 0.5, 20.0
RESUME_WITHIN_S = 0.3
"""How far clients spread that were all told to come back at once."""

STABLE_AFTER_S = 5.0
"""A connection that has held this long shows that the trouble is over."""

BROKEN = 1006
"""The code of a connection that broke without a closing handshake (RFC 6455, 7.4.1)."""

_TIME_IN_REASON = re.compile(r"retry_after_ms=(\d+(?:\.\d+)?)")


class CloseCode(IntEnum):
    """Why the server has ended a connection."""

    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408
    TOO_MANY = 4429
    DRAINING = 4503


_FINAL = {CloseCode.MALFORMED: "bad_request", CloseCode.FORBIDDEN: "forbidden"}
_AT_ONCE = {CloseCode.UNAUTHENTICATED, CloseCode.TOO_SLOW, CloseCode.DRAINING}


class Ending(msgspec.Struct, frozen=True):
    """How a connection ended, or did not come about; `retry_after_s` where the server has named a time."""

    code: int
    reason: str
    retry_after_s: float | None = None


class Stop(msgspec.Struct, frozen=True):
    """Do not come back; `code` is the protocol's name for why."""

    code: str


class Retry(msgspec.Struct, frozen=True):
    """Come back after a pause, with another token if the last one was refused."""

    after_s: float
    is_token_spent: bool = False


def pause_s(tries: int, random: float, retry_after_s: float | None = None) -> float:
    """Return how long to wait before the next try, after `tries` in vain: anywhere below a ceiling that doubles.

    A time that the server named wins; it is stretched by up to a tenth, so that clients which were sent away together
    do not return together. `random` is in [0, 1).
    """
    if retry_after_s is not None:
        return retry_after_s * (1 + random / 10)
    return random * min(LONGEST_S, FIRST_S * 2.0 ** min(tries, 10))


class Reconnecting:
    """Counts the tries, and decides after each ending; times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self.tries = 0
        self._welcomed_at: float | None = None
        self._was_welcomed = False

    def welcomed(self, now: float) -> bool:
        """Note that the server has let us in; return whether it is for the first time."""
        self._welcomed_at = now
        is_first, self._was_welcomed = not self._was_welcomed, True
        return is_first

    def ended(self, ending: Ending, now: float, random: float) -> Stop | Retry:
        """Decide what to do; `random` is in [0, 1)."""
        if self._welcomed_at is not None and now - self._welcomed_at >= STABLE_AFTER_S:
            self.tries = 0
        self._welcomed_at = None
        if ending.code in _FINAL:
            return Stop(_FINAL[CloseCode(ending.code)])
        is_token_spent = ending.code == CloseCode.UNAUTHENTICATED
        retry_after_s = _time_in(ending.reason) if ending.code == CloseCode.TOO_MANY else None
        if retry_after_s is None:
            retry_after_s = ending.retry_after_s
        tries, self.tries = self.tries, self.tries + 1
        # at once only when things were well, or a server that lets in and sends away would be called in a loop
        if ending.code in _AT_ONCE and retry_after_s is None and tries == 0:
            return Retry(0.0 if is_token_spent else random * RESUME_WITHIN_S, is_token_spent)
        return Retry(pause_s(tries, random, retry_after_s), is_token_spent)


def _time_in(reason: str) -> float | None:
    found = _TIME_IN_REASON.search(reason)
    return float(found[1]) / 1000 if found else None
