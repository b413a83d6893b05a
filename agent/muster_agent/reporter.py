"""The sending thread: one request after another, and what each kind of failure leads to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from muster_agent.answers import Rejection
from muster_agent.backoff import Backoff
from muster_agent.buffer import Sample
from muster_agent.errors import (
    CredentialRefused,
    DeliveryError,
    RequestRefused,
    Throttled,
    TooLarge,
    Unavailable,
)
from muster_agent.exchange import Exchange
from muster_agent.membership import Membership
from muster_agent.outage import Outage
from muster_agent.tally import Tally
from muster_agent.transport import Transport

log = logging.getLogger(__name__)

BATCH_LIMIT = 500
FACTS_CHECK_S = 600.0
REFUSED_RETRY_S = 60.0
FLUSH_S = 2.0
GOODBYE_TIMEOUT_S = 1.5


class Reporter:
    """Keeps the server told. `dropped` counts samples that the server would not take, whole requests included."""

    def __init__(
        self,
        transport: Transport,
        exchange: Exchange,
        membership: Membership,
        backoff: Backoff,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._membership = membership
        self._backoff = backoff
        self._monotonic = monotonic
        self._outage = Outage()
        self._rejected = Tally()
        self._batch_limit = BATCH_LIMIT
        self._has_shaken_hands = False
        self._facts_checked_s = 0.0
        self.dropped = 0

    def run(self) -> None:
        """Report until the exchange is stopped, then send what is left and say goodbye.

        Raises EnrolmentRefused and StateError; everything else is retried.
        """
        while not self._exchange.stopping:
            pause_s = self.step()
            if pause_s is None:
                self._exchange.wait_for_samples(FACTS_CHECK_S)
            else:
                self._exchange.pause(pause_s)
        self.finish()

    def step(self) -> float | None:
        """Make the request that is due. Give the seconds to wait before the next; None: until there is a sample."""
        try:
            return self._next_request()
        except CredentialRefused as error:
            self._has_shaken_hands = False
            advice = self._membership.advice_when_refused()
            self._tell(error, f"the server refuses this machine's credential ({error}): it was revoked; {advice}")
            return REFUSED_RETRY_S
        except Unavailable as error:
            self._has_shaken_hands = False
            self._tell(error, f"{error}; samples are kept and sent later")
            return self._backoff.next_delay_s(error.retry_after_s)
        except Throttled as error:
            self._tell(error, f"the server asks for fewer requests ({error}); samples are kept and sent later")
            return self._backoff.next_delay_s(error.retry_after_s)

    def finish(self) -> None:
        """Send what is left, for two seconds at most, and say goodbye, unless the agent is about to come back."""
        if not self._membership.is_enrolled:
            return
        try:
            self._flush()
        except DeliveryError as error:
            log.warning("%d samples were not delivered: %s", self._exchange.waiting(), error)
        if self._exchange.is_quiet:
            return
        try:
            self._transport.say_goodbye(GOODBYE_TIMEOUT_S)
            log.info("said goodbye")
        except DeliveryError as error:
            log.warning("could not say goodbye: %s", error)

    def _next_request(self) -> float | None:
        if not self._membership.is_enrolled:
            self._membership.enrol()
            return 0.0
        if self._handshake_is_due():
            self._shake_hands()
            return 0.0
        return 0.0 if self._deliver() else None

    def _handshake_is_due(self) -> bool:
        if not self._has_shaken_hands:
            return True
        now_s = self._monotonic()
        if now_s - self._facts_checked_s < FACTS_CHECK_S:
            return False
        self._facts_checked_s = now_s
        return self._membership.has_new_facts()

    def _shake_hands(self) -> None:
        try:
            interval_s = self._membership.shake_hands()
        except (RequestRefused, TooLarge) as error:
            # Samples are worth more than facts: go on without.
            log.error("the server does not take this machine's facts: %s", error)  # noqa: TRY400 - the cause is at the server
        else:
            if interval_s is not None and self._exchange.change_interval(interval_s):
                log.info("a sample every %g s from now on, as the server wishes", interval_s)
            self._note_success()
        self._has_shaken_hands = True
        self._facts_checked_s = self._monotonic()
        self._batch_limit = BATCH_LIMIT

    def _deliver(self, timeout_s: float | None = None) -> bool:
        """Send the oldest samples in one request; tell whether there were any."""
        batch = self._exchange.oldest(self._batch_limit)
        if not batch:
            return False
        try:
            rejected = self._transport.send_samples([each.encoded for each in batch], timeout_s)
        except TooLarge as error:
            if len(batch) > 1:
                self._batch_limit = len(batch) // 2
                return True
            self._drop(batch, error)
        except RequestRefused as error:
            self._drop(batch, error)
        else:
            self._exchange.discard_through(batch[-1].seq)
            self._note_rejected(rejected)
            self._backoff.reset()
            self._note_success()
        return True

    def _flush(self) -> None:
        deadline_s = self._monotonic() + FLUSH_S
        while self._exchange.waiting():
            remaining_s = deadline_s - self._monotonic()
            if remaining_s <= 0:
                log.warning("%d samples were not delivered in time", self._exchange.waiting())
                return
            self._deliver(remaining_s)

    def _drop(self, batch: Sequence[Sample], error: DeliveryError) -> None:
        self._exchange.discard_through(batch[-1].seq)
        self.dropped += len(batch)
        log.error("%d samples dropped, the server will not take them: %s", len(batch), error)

    def _note_rejected(self, rejected: Sequence[Rejection]) -> None:
        self.dropped += len(rejected)
        for each in rejected:
            self._rejected.count(f"{each.code}: {each.message}")
        for reason, times in self._rejected.due(self._monotonic()).items():
            log.warning("the server rejected %d samples: %s", times, reason)

    def _tell(self, error: DeliveryError, line: str) -> None:
        if self._outage.failed(type(error).__name__, self._monotonic()):
            log.warning("%s", line)
        else:
            log.debug("%s", line)

    def _note_success(self) -> None:
        lasted_s = self._outage.ended(self._monotonic())
        if lasted_s is not None:
            log.info("the server is back after %.0f s, %d samples to send", lasted_s, self._exchange.waiting())
