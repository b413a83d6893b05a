"""Reports over the stream: carries a conversation over a wire, with the samples of the exchange."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Callable

from muster_agent.buffer import Sample
from muster_agent.conversation import Configured, Conversation, Deferred, Kind, Refused, Taken
from muster_agent.delivery import Delivery
from muster_agent.endings import error_of_close, error_of_refusal
from muster_agent.errors import StreamUnusable, TooLarge, Unavailable
from muster_agent.membership import FACTS_CHECK_S, Membership
from muster_agent.pace import LARGEST_BYTES, Pace
from muster_agent.wire import UpgradeRefused, Waker, Wire

log = logging.getLogger(__name__)

SAMPLES_A_MESSAGE = 1000
LARGEST_MESSAGE_BYTES = 900_000
SMALLEST_MESSAGE_BYTES = 1000
GOODBYE_WITHIN_S = 2.5
GOODBYE_CODE = 1000
# RFC 6455, 7.4.1: going away; the server waits for the agent to return.
AWAY_CODE = 1001

Opener = Callable[[Waker], Wire]


class Stream:
    """The stream of an agent that has a credential: `run` is one connection of it."""

    def __init__(
        self,
        opener: Opener,
        membership: Membership,
        delivery: Delivery,
        pace: Pace,
    ) -> None:
        self._opener = opener
        self._exchange = delivery.exchange
        self._membership = membership
        self._delivery = delivery
        self._pace = pace
        self._limit_bytes = LARGEST_MESSAGE_BYTES
        self._shall_rotate = False

    def run(self, answered: Callable[[], None]) -> bool:
        """Report until the exchange is stopped, and say goodbye unless it was stopped quietly.

        `answered` is called at the first answer. Tells whether this agent has left; if not, the stream is to be opened
        anew, with the secret that was taken meanwhile.

        Raises DeliveryError when the connection cannot be opened, or has ended.
        """
        waker = Waker()
        self._exchange.notify(waker.wake)
        try:
            wire = self._open(waker)
            try:
                has_left = self._converse(wire, answered)
                wire.close(AWAY_CODE if self._exchange.is_quiet or not has_left else GOODBYE_CODE)
            except OSError as error:
                raise Unavailable(f"the stream broke: {error}") from error
            finally:
                # Without a word where the connection is broken: nobody would take it.
                wire.close()
            return has_left
        finally:
            self._exchange.notify(None)
            waker.close()

    def _open(self, waker: Waker) -> Wire:
        try:
            return self._opener(waker)
        except UpgradeRefused as refusal:
            raise error_of_refusal(refusal.answer, time.time()) from refusal
        except ConnectionRefusedError as error:
            raise Unavailable(f"cannot connect: {error}") from error
        except OSError as error:
            raise StreamUnusable(f"no stream can be opened: {error}") from error

    def _converse(self, wire: Wire, answered: Callable[[], None]) -> bool:
        now_s = self._delivery.now_s()
        self._shall_rotate = False
        conversation = Conversation(self._pace, self._exchange.interval_s, now_s)
        leave_s: float | None = None
        while True:
            for text in wire.messages():
                if not conversation.was_answered:
                    answered()
                self._take(conversation, text, wire)
            if self._exchange.stopping and leave_s is None:
                leave_s = self._delivery.now_s() + GOODBYE_WITHIN_S
            if wire.closed:
                self._judge_end(wire, conversation, is_leaving=leave_s is not None)
                return True
            if leave_s is not None and self._has_left(conversation, wire, leave_s):
                return True
            if leave_s is None and self._has_rotated(conversation):
                return False
            self._send_due(conversation, wire)
            self._wait(conversation, wire, leave_s)

    def _take(self, conversation: Conversation, text: bytes, wire: Wire) -> None:
        event = conversation.receive(text, self._delivery.now_s())
        if isinstance(event, Configured):
            self._membership.recognise(event.server_id)
            self._shall_rotate = self._shall_rotate or event.terms.rotate
            self._delivery.adopt_interval(event.terms.interval_s)
            wire.use_timeout(max(2 * self._exchange.interval_s, event.terms.heartbeat_s))
        elif isinstance(event, Taken) and event.sent.samples:
            self._delivery.taken(event.sent.samples, event.rejected)
        elif isinstance(event, Deferred):
            log.debug("the server takes a message later: %s", event.description)
            self._exchange.miss(event.sent.samples)
        elif isinstance(event, Refused) and event.sent.samples:
            self._delivery.refused(event.sent.samples, event.description)
        elif isinstance(event, Refused):
            log.error("the server does not take the %s: %s", event.sent.kind.value, event.description)
        if isinstance(event, (Taken, Refused)) and event.sent.kind is Kind.HANDSHAKE:
            self._delivery.connected()

    def _has_rotated(self, conversation: Conversation) -> bool:
        """Take another secret if that is wished for and nothing is under way; tell whether it was taken."""
        if not (self._is_holding(conversation) and conversation.is_quiet):
            return False
        self._shall_rotate = False
        return self._membership.rotate()

    def _is_holding(self, conversation: Conversation) -> bool:
        """Whether to send nothing, so that nothing is under way when the stream is left for one with another secret."""
        return self._shall_rotate and conversation.is_open and not self._exchange.stopping

    def _send_due(self, conversation: Conversation, wire: Wire) -> None:
        if self._is_holding(conversation):
            return
        now_s = self._delivery.now_s()
        if conversation.is_open and self._membership.has_new_facts(now_s):
            conversation.want_handshake()
        while True:
            has_fresh, has_late = self._exchange.has_fresh(), self._exchange.has_late()
            kind = conversation.next_kind(now_s, has_fresh=has_fresh, has_late=has_late)
            if kind is None:
                return
            fields = self._membership.facts(now_s) if kind is Kind.HANDSHAKE else {}
            samples = self._samples(kind)
            wire.send(conversation.message(kind, now_s, fields, samples))

    def _samples(self, kind: Kind) -> Sequence[Sample]:
        if kind is Kind.FRESH:
            return self._exchange.take_fresh(SAMPLES_A_MESSAGE, self._limit_bytes)
        if kind is Kind.LATE:
            return self._exchange.late(self._pace.limit(), min(LARGEST_BYTES, self._limit_bytes))
        return ()

    def _wait(self, conversation: Conversation, wire: Wire, leave_s: float | None) -> None:
        now_s = self._delivery.now_s()
        due_s = conversation.wake_s(has_late=self._exchange.has_late())
        wake_s = min(conversation.broken_s() if self._is_holding(conversation) else due_s, now_s + FACTS_CHECK_S)
        if leave_s is not None:
            wake_s = min(wake_s, leave_s)
        wire.wait(max(0.0, wake_s - now_s))
        # What has come while the machine slept counts, before its silence does.
        if self._delivery.now_s() >= conversation.broken_s() and not wire.has_messages() and not wire.closed:
            text = "no answer came over the stream in time"
            raise Unavailable(text) if conversation.was_answered else StreamUnusable(text)

    def _has_left(self, conversation: Conversation, wire: Wire, leave_s: float) -> bool:
        """Say goodbye once all new samples are sent; tell whether the server has heard it or will not."""
        if self._delivery.now_s() >= leave_s:
            log.warning("could not say goodbye: the server does not answer")
            return True
        if self._exchange.is_quiet:
            return conversation.is_quiet and not (conversation.is_open and self._exchange.has_fresh())
        if conversation.is_open and not conversation.said_goodbye and not self._exchange.has_fresh():
            wire.send(conversation.message(Kind.GOODBYE, self._delivery.now_s(), {}))
        if conversation.said_goodbye and conversation.is_quiet:
            log.info("said goodbye")
            return True
        return False

    def _judge_end(self, wire: Wire, conversation: Conversation, *, is_leaving: bool) -> None:
        closed = wire.closed
        if closed is None:
            return
        if is_leaving and closed.code == GOODBYE_CODE:
            log.info("said goodbye")
            return
        error = error_of_close(closed, was_answered=conversation.was_answered)
        if isinstance(error, TooLarge):
            self._limit_bytes = max(SMALLEST_MESSAGE_BYTES, self._limit_bytes // 2)
        raise error
