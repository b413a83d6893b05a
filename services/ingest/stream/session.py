"""The state of one stream: what its messages and the time lead to. No I/O; the clock is passed in, in seconds.

A handshake comes first, messages are counted, and silence ends the stream. What is read is answered before more is
read, so that no more than what waits at once costs memory here.
"""

from enum import IntEnum

import msgspec

from services.ingest.stream.messages import Introduction, Message, read_message, turned_away
from shared.errors import Malformed, MusterError, RetryLater
from shared.io.problem import HttpError

HEARTBEAT_S = 15.0
"""How long an agent may have nothing to say."""

WINDOW = 8
"""How many messages an agent may have sent that are not answered."""

BACKFILL_PER_S = 100
"""How many samples of an outage an agent may send in a second."""

HANDSHAKE_WITHIN_S = 10.0

HANDSHAKE_AT_LAST_S = 120.0
"""How long a stream may stand without a handshake that was taken, however often that was put off."""

MAX_REFUSALS = 3 * WINDOW
"""So many refused messages in a row are more than what can have been under way."""


class CloseCode(IntEnum):
    """Why a stream was ended."""

    GOODBYE = 1000
    DRAINING = 1012
    MALFORMED = 4400
    REVOKED = 4401
    SILENT = 4408
    SUPERSEDED = 4409
    TOO_MUCH = 4429


class Ending(msgspec.Struct, frozen=True):
    """A stream is to be closed with this code and reason."""

    code: CloseCode
    reason: str


_NO_TEXT = Ending(CloseCode.MALFORMED, "messages are JSON text frames")
SUPERSEDED = Ending(CloseCode.SUPERSEDED, "the agent has opened another stream")


class Session:
    """A stream from its opening to its end."""

    __slots__ = ("_ends_at", "_expected_seq", "_patience_s", "_refusals", "_silent_at", "is_introduced")

    def __init__(self, now_s: float) -> None:
        self.is_introduced = False
        self._expected_seq = 1
        self._refusals = 0
        self._patience_s = HANDSHAKE_WITHIN_S
        self._silent_at = now_s + HANDSHAKE_WITHIN_S
        self._ends_at = now_s + HANDSHAKE_AT_LAST_S

    def receive(self, message: str | bytes, now_s: float) -> Message | Ending:
        """Take in what came; the message that is to be dealt with and answered, or an end of it all."""
        if isinstance(message, bytes):
            return _NO_TEXT
        try:
            read = read_message(message)
        except Malformed as error:
            return Ending(CloseCode.MALFORMED, str(error))
        if read.seq == self._expected_seq == 1 and not (self.is_introduced or isinstance(read, Introduction)):
            return Ending(CloseCode.MALFORMED, "the first message is a handshake")
        return self._in_order(read, now_s)

    def turn_away(self, message: str | bytes, error: HttpError, now_s: float) -> Message | Ending:
        """Take in what is not to be looked at: it is to be refused with this error, but for a goodbye."""
        if isinstance(message, bytes):
            return _NO_TEXT
        try:
            return self._in_order(turned_away(message, error), now_s)
        except Malformed as wrong:
            return Ending(CloseCode.MALFORMED, str(wrong))

    def _in_order(self, read: Message, now_s: float) -> Message | Ending:
        if read.seq != self._expected_seq:
            return Ending(CloseCode.MALFORMED, f"seq is to be {self._expected_seq}")
        self._expected_seq += 1
        if self.is_introduced:  # until then the time is that for the handshake, whatever comes
            self._silent_at = now_s + self._patience_s
        return read

    def introduced(self, interval_s: float, now_s: float) -> None:
        """Go on after a handshake that was taken."""
        self.is_introduced = True
        self._patience_s = 2 * max(interval_s, HEARTBEAT_S)
        self._silent_at = now_s + self._patience_s

    def taken(self) -> None:
        """Note that a message was taken."""
        self._refusals = 0

    def put_off(self, retry_after_s: float, now_s: float) -> None:
        """Note that a handshake is to be repeated: it has as much more time, but not without end."""
        if not self.is_introduced:
            self._silent_at = min(now_s + retry_after_s + HANDSHAKE_WITHIN_S, self._ends_at)

    def refused(self, error: MusterError) -> Ending | None:
        """Note that a message was refused; an end, when that has happened too often in a row.

        While the fault is ours, it may happen as often as it likes.
        """
        if isinstance(error, RetryLater):
            return None
        self._refusals += 1
        if self._refusals < MAX_REFUSALS:
            return None
        if isinstance(error, HttpError) and error.retry_after_s is not None:
            return Ending(CloseCode.TOO_MUCH, f'{{"retry_after_s":{error.retry_after_s:.1f}}}')
        return Ending(CloseCode.MALFORMED, "too many messages that cannot be taken")

    def expired(self, now_s: float) -> Ending | None:
        """Return the end of a stream on which nothing was heard for too long."""
        if now_s < self._silent_at:
            return None
        return Ending(CloseCode.SILENT, "nothing was heard" if self.is_introduced else "no handshake came")
