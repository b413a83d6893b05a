"""Decides whether to speak over the stream or over plain HTTP."""

from __future__ import annotations

STREAM, HTTP, AUTO = "stream", "http", "auto"
CHOICES = (AUTO, STREAM, HTTP)
TRY_AGAIN_S = 600.0
# A server that has just come back may fail a stream by accident, but not twice with plain requests in between.
FAILURES_IN_DOUBT = 2


class Channel:
    """The choice, made anew before each connection. Times are of the monotonic clock.

    A stream that fails is followed by plain requests; where these succeed while streams do not, plain HTTP it is for
    ten minutes.
    """

    def __init__(self, asked: str = AUTO) -> None:
        self._asked = asked
        self._failures = 0
        self._is_in_doubt = False
        self._http_until_s: float | None = None

    def choose(self, now_s: float) -> str:
        """Give `STREAM` or `HTTP`."""
        if self._asked != AUTO:
            return self._asked
        if self._http_until_s is not None and now_s < self._http_until_s:
            return HTTP
        return HTTP if self._is_in_doubt else STREAM

    def stream_failed(self, *, is_certain: bool) -> None:
        """Note that no answer came through a stream; `is_certain` where somebody answered that there is none."""
        self._failures += FAILURES_IN_DOUBT if is_certain else 1
        self._is_in_doubt = True
        self._http_until_s = None

    def stream_answered(self) -> None:
        """Note that a stream works."""
        self._failures = 0
        self._is_in_doubt = False
        self._http_until_s = None

    def plain_succeeded(self, now_s: float) -> bool:
        """Note that a plain request was answered; tell whether this has decided for plain HTTP."""
        if not self._is_in_doubt:
            return False
        self._is_in_doubt = False
        if self._failures < FAILURES_IN_DOUBT:
            return False
        # The next time one failure will do.
        self._failures = FAILURES_IN_DOUBT - 1
        self._http_until_s = now_s + TRY_AGAIN_S
        return True

    def plain_failed(self) -> None:
        """Note that plain requests fail as well: the server is away, and nothing can be told of streams."""
        self._is_in_doubt = False

    def seconds_of_http(self, now_s: float) -> float | None:
        """Give how long plain HTTP will stay the choice; None where that is for ever."""
        if self._asked != AUTO:
            return None
        return max(0.0, (self._http_until_s or now_s) - now_s)
