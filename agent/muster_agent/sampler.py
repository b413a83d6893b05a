"""The sampling thread: measures on a fixed grid and hands over each sample, whatever the network does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from muster_agent.buffer import Sample
from muster_agent.collectors.base import CollectorGroup
from muster_agent.collectors.cleaning import encode, fitted
from muster_agent.schedule import Grid

log = logging.getLogger(__name__)

# What rates of the first sample are measured over, so that it has all its fields.
WARM_UP_S = 1.0
# What a machine with hundreds of everything sends is less than half of it.
LARGEST_SAMPLE_BYTES = 65_536


class Outlet(Protocol):
    """Where samples go: an Exchange. Times are seconds of the monotonic clock."""

    @property
    def interval_s(self) -> float:
        """Seconds between two samples, as decided last."""

    @property
    def stopping(self) -> bool:
        """Whether sampling is to end."""

    def add(self, sample: Sample) -> int:
        """Take a sample; give how many others were lost by that."""

    def wait_until(self, instant_s: float, interval_s: float) -> bool:
        """Block until `instant_s`; False when sampling is to end or the interval is not `interval_s` any more."""


class Sampler:
    """Takes samples of one process, numbered from 1.

    `wall_clock` gives seconds since 1970 and `monotonic` seconds of a clock that is never set.
    """

    def __init__(
        self,
        collectors: CollectorGroup,
        boot_id: str,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collectors = collectors
        self._boot_id = boot_id
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._seq = 0

    def warm_up(self) -> None:
        """Read the counters once, so that the next sample has rates."""
        self._collectors.collect(self._monotonic())

    def settle(self) -> None:
        """Wait for what is measured in the background."""
        self._collectors.wait_for_background()

    def fields(self) -> dict[str, object]:
        """Measure now. The fields are those of "A sample" in the HTTP interface."""
        self._seq += 1
        identity = {"ts": rfc3339(self._wall_clock()), "boot_id": self._boot_id, "seq": self._seq}
        return {**identity, **self._collectors.collect(self._monotonic())}

    def sample(self) -> Sample:
        """Measure now, and encode, without the largest lists where it would be too large."""
        fields = self.fields()
        encoded = encode(fields)
        if len(encoded) > LARGEST_SAMPLE_BYTES:
            encoded = encode(fitted(fields, LARGEST_SAMPLE_BYTES))
        return Sample(self._boot_id, self._seq, encoded)

    def run(self, exchange: Outlet) -> None:
        """Sample until the exchange is stopped."""
        self.warm_up()
        interval_s = exchange.interval_s
        grid = Grid(self._monotonic() + min(WARM_UP_S, interval_s), interval_s)
        while not exchange.stopping:
            if exchange.interval_s != grid.interval_s:
                # The first sample is due as soon as it has all its fields, however long the interval has become.
                grid = Grid(self._monotonic() if self._seq else grid.origin_s, exchange.interval_s)
            if exchange.wait_until(grid.next_after(self._monotonic()), grid.interval_s):
                self._hand_over(exchange)

    def _hand_over(self, exchange: Outlet) -> None:
        thinned = exchange.add(self.sample())
        if thinned:
            log.warning("the buffer is full: %d of the oldest samples were thinned out", thinned)


def rfc3339(unix_s: float) -> str:
    """Write a time in UTC with milliseconds."""
    whole_s, milliseconds = divmod(int(unix_s * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole_s))}.{milliseconds:03d}Z"
