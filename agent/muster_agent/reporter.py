"""The sending thread: which transport is next, and what each kind of failure leads to."""

from __future__ import annotations

import logging

from muster_agent.channel import HTTP, STREAM, Channel
from muster_agent.delivery import Delivery
from muster_agent.errors import (
    ApprovalNeeded,
    CredentialRefused,
    DeliveryError,
    Displaced,
    ReplicaLeaves,
    RequestRefused,
    StreamUnusable,
    Throttled,
    Unavailable,
)
from muster_agent.membership import Membership
from muster_agent.posting import Posting
from muster_agent.stream import Stream

log = logging.getLogger(__name__)

REFUSED_RETRY_S = 60.0
REPLICA_SPREAD_S = 1.0
# Added to a minute's pause: a fleet must not return in step.
PAUSE_SPREAD_S = 6.0
FLUSH_S = 2.0
SHORTEST_TIMEOUT_S = 0.1
GOODBYE_TIMEOUT_S = 1.5


class Reporter:
    """Keeps the server told, from the enrolment to the goodbye."""

    def __init__(
        self, membership: Membership, delivery: Delivery, stream: Stream, posting: Posting, channel: Channel
    ) -> None:
        self._exchange = delivery.exchange
        self._membership = membership
        self._delivery = delivery
        self._stream = stream
        self._posting = posting
        self._channel = channel
        self._has_left = False

    def run(self) -> None:
        """Report until the exchange is stopped, then send what is new and say goodbye.

        Raises EnrolmentRefused and StateError; everything else is retried.
        """
        while not self._exchange.stopping:
            pause_s = self.step()
            if pause_s is None:
                self._exchange.wait_for_fresh(self._idle_s())
            else:
                self._exchange.pause(pause_s)
        if not self._has_left:
            self.finish()

    def step(self) -> float | None:
        """Make the request that is due, or hold a stream until it ends.

        Give the seconds to wait before the next step; None: until there is a new sample, or something else is due.
        """
        try:
            return self._next()
        except StreamUnusable as error:
            self._fail(error, f"{error}; trying plain requests")
            self._channel.stream_failed(is_certain=error.is_certain)
            return 0.0 if self._channel.choose(self._delivery.now_s()) == HTTP else self._delivery.next_delay_s()
        except DeliveryError as error:
            if isinstance(error, CredentialRefused) and self._membership.fall_back():
                return self._delivery.next_delay_s()
            self._fail(error, f"{error}; {self._consequence(error)}")
            return self._pause_s(error)

    def finish(self) -> None:
        """Send what is new in plain requests, for two seconds at most, and say goodbye, however well that went.

        No goodbye when the agent is about to come back.
        """
        if not self._membership.is_enrolled:
            return
        deadline_s = self._delivery.now_s() + FLUSH_S
        try:
            while self._delivery.now_s() < deadline_s and self._posting.deliver_fresh(
                deadline_s - self._delivery.now_s()
            ):
                pass
        except DeliveryError as error:
            log.warning("samples were not delivered: %s", error)
        if self._exchange.is_quiet:
            return
        try:
            self._posting.say_goodbye(GOODBYE_TIMEOUT_S)
            log.info("said goodbye")
        except DeliveryError as error:
            log.warning("could not say goodbye: %s", error)

    def _next(self) -> float | None:
        if not self._membership.is_enrolled:
            self._membership.enrol()
            return 0.0
        if self._channel.choose(self._delivery.now_s()) == STREAM:
            self._posting.disconnect()
            # It ends without an error when the exchange was stopped, or to be opened anew.
            self._has_left = self._stream.run(self._channel.stream_answered)
            return 0.0
        if self._posting.step():
            return 0.0
        if self._channel.plain_succeeded(self._delivery.now_s()):
            log.warning("no stream comes through although plain requests do: reporting by plain requests for now")
        return None

    def _idle_s(self) -> float:
        until_stream_s = self._channel.seconds_of_http(self._delivery.now_s())
        idle_s = self._posting.idle_s()
        return idle_s if until_stream_s is None else min(idle_s, until_stream_s)

    def _fail(self, error: DeliveryError, line: str) -> None:
        if isinstance(error, Unavailable):
            self._channel.plain_failed()
        if not isinstance(error, Throttled):
            self._posting.disconnect()
        self._delivery.failed(type(error).__name__, line)

    def _consequence(self, error: DeliveryError) -> str:
        if isinstance(error, CredentialRefused):
            return f"this machine's credential was revoked; {self._membership.advice_when_refused()}"
        if isinstance(error, ApprovalNeeded):
            return self._membership.advice_when_claimed()
        if isinstance(error, Displaced):
            return "does another process report with this machine's credential?"
        return "samples are kept and sent later"

    def _pause_s(self, error: DeliveryError) -> float:
        if isinstance(error, ReplicaLeaves):
            return self._delivery.spread_s(0.0, REPLICA_SPREAD_S)
        if isinstance(error, (ApprovalNeeded, CredentialRefused, Displaced, RequestRefused)):
            return self._delivery.spread_s(REFUSED_RETRY_S, PAUSE_SPREAD_S)
        return self._delivery.next_delay_s(error.retry_after_s)
