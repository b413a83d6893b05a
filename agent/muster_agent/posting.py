"""Reports over plain HTTP, one request after another: live samples first, then a few of those that were missed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from muster_agent.buffer import Sample
from muster_agent.delivery import Delivery
from muster_agent.errors import RequestRefused, TooLarge, Unavailable
from muster_agent.membership import FACTS_CHECK_S, Membership
from muster_agent.pace import LARGEST_BYTES, Pace
from muster_agent.terms import Terms
from muster_agent.transport import ANSWER_TIMEOUT_S, Transport

log = logging.getLogger(__name__)

LARGEST_REQUEST = 1000
LARGEST_REQUEST_BYTES = 900_000
SHORTEST_LATE_TIMEOUT_S = 1.0


class Posting:
    """The plain requests of an agent that has a credential."""

    def __init__(
        self,
        transport: Transport,
        membership: Membership,
        delivery: Delivery,
        pace: Pace,
    ) -> None:
        self._transport = transport
        self._exchange = delivery.exchange
        self._membership = membership
        self._delivery = delivery
        self._pace = pace
        self._has_shaken_hands = False
        self._limit = LARGEST_REQUEST
        self._terms = Terms()

    def disconnect(self) -> None:
        """Begin with a handshake the next time."""
        self._has_shaken_hands = False
        self._transport.close()

    def step(self) -> bool:
        """Make the request that is due; tell whether there was one. Raises DeliveryError."""
        if not self._has_shaken_hands or self._membership.has_new_facts(self._delivery.now_s()):
            self._shake_hands()
            return True
        return self.deliver_fresh() or self._deliver_late()

    def idle_s(self) -> float:
        """Give how long nothing is due unless there is a new sample."""
        late_s = self._pace.next_s - self._delivery.now_s() if self._exchange.has_late() else FACTS_CHECK_S
        return min(max(0.0, late_s), FACTS_CHECK_S)

    def say_goodbye(self, timeout_s: float) -> None:
        """Tell the server that this machine goes offline on purpose. Raises DeliveryError."""
        self._transport.say_goodbye(timeout_s)

    def deliver_fresh(self, timeout_s: float | None = None) -> bool:
        """Send new samples in one request; tell whether there were any. Raises DeliveryError."""
        batch = self._exchange.take_fresh(self._limit, LARGEST_REQUEST_BYTES)
        if not batch:
            return False
        self._deliver(batch, timeout_s)
        return True

    def _deliver_late(self) -> bool:
        now_s = self._delivery.now_s()
        if now_s < self._pace.next_s:
            return False
        batch = self._exchange.late(min(self._pace.limit(), self._limit), LARGEST_BYTES)
        if not batch:
            return False
        self._pace.sent(len(batch), now_s)
        # A live sample waits for this one request at most.
        self._deliver(batch, min(ANSWER_TIMEOUT_S, max(SHORTEST_LATE_TIMEOUT_S, self._exchange.interval_s)))
        self._pace.answered(self._delivery.now_s() - now_s)
        return True

    def _deliver(self, batch: Sequence[Sample], timeout_s: float | None) -> None:
        try:
            rejected = self._transport.send_samples([each.encoded for each in batch], timeout_s)
        except TooLarge as error:
            if len(batch) > 1:
                self._limit = len(batch) // 2
                self._exchange.miss(batch)
            elif error.is_certain:
                self._delivery.refused(batch, str(error))
            else:
                raise Unavailable(str(error)) from error
        except RequestRefused as error:
            self._delivery.refused(batch, str(error))
        else:
            self._delivery.connected()
            self._delivery.taken(batch, rejected)

    def _shake_hands(self) -> None:
        try:
            self._terms = self._membership.shake_hands(self._delivery.now_s())
        except (RequestRefused, TooLarge) as error:
            # Samples are worth more than facts: go on without.
            log.error("the server does not take this machine's facts: %s", error)  # noqa: TRY400 - the cause is at the server
        else:
            self._delivery.adopt_interval(self._terms.interval_s)
            self._delivery.connected()
            if self._terms.rotate:
                self._membership.rotate()
        interval_s = self._exchange.interval_s
        if self._has_shaken_hands:
            self._pace.change(self._terms.backfill_per_s, interval_s)
        else:
            self._pace.begin(self._terms.backfill_per_s, interval_s, self._delivery.now_s())
        self._has_shaken_hands = True
        self._limit = LARGEST_REQUEST
