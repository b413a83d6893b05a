"""What became of samples and of attempts to send them: bookkeeping, and its lines in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Callable

from muster_agent.answers import Rejection
from muster_agent.backoff import Backoff
from muster_agent.buffer import Sample
from muster_agent.exchange import Exchange
from muster_agent.outage import Outage
from muster_agent.tally import Tally

log = logging.getLogger(__name__)


class Delivery:
    """The same for both transports. `dropped` counts samples that the server would not take.

    `on_accepted` is called whenever the server has accepted samples.
    """

    def __init__(
        self,
        exchange: Exchange,
        backoff: Backoff,
        monotonic: Callable[[], float] = time.monotonic,
        on_accepted: Callable[[], None] = lambda: None,
    ) -> None:
        self._exchange = exchange
        self._backoff = backoff
        self._monotonic = monotonic
        self._on_accepted = on_accepted
        self._outage = Outage()
        self._rejected = Tally()
        self.dropped = 0

    @property
    def exchange(self) -> Exchange:
        """Where the samples come from."""
        return self._exchange

    def now_s(self) -> float:
        """Give the time of the monotonic clock."""
        return self._monotonic()

    def taken(self, samples: Sequence[Sample], rejected: Sequence[Rejection]) -> None:
        """Note that the server has dealt with these samples."""
        self._exchange.settle(samples)
        self._backoff.reset()
        if len(rejected) < len(samples):
            self._on_accepted()
        self.dropped += len(rejected)
        for each in rejected:
            self._rejected.count(f"{each.code}: {each.message}")
        for reason, times in self._rejected.due(self._monotonic()).items():
            log.warning("the server rejected %d samples: %s", times, reason)

    def refused(self, samples: Sequence[Sample], description: str) -> None:
        """Note that the server will never take these samples as they are."""
        self._exchange.settle(samples)
        self.dropped += len(samples)
        log.error("%d samples dropped, the server will not take them: %s", len(samples), description)

    def connected(self) -> None:
        """Note that the server has answered."""
        self._exchange.connected()
        lasted_s = self._outage.ended(self._monotonic())
        if lasted_s is not None:
            log.info("the server is back after %.0f s, %d samples to send", lasted_s, self._exchange.waiting())

    def adopt_interval(self, interval_s: float | None) -> None:
        """Take samples as often as the server wishes, if it does."""
        if interval_s is not None and self._exchange.change_interval(interval_s):
            log.info("a sample every %g s from now on, as the server wishes", interval_s)

    def failed(self, kind: str, line: str) -> None:
        """Note that the server cannot be reached or does not take samples; the first time is worth a line."""
        self._exchange.lost()
        if self._outage.failed(kind, self._monotonic()):
            log.warning("%s", line)
        else:
            log.debug("%s", line)

    def next_delay_s(self, retry_after_s: float | None = None) -> float:
        """Give how long to wait before the next attempt."""
        return self._backoff.next_delay_s(retry_after_s)

    def spread_s(self, least_s: float, spread_s: float) -> float:
        """Give a wait of `least_s` and up to `spread_s` more."""
        return self._backoff.spread_s(least_s, spread_s)
