"""The sampling thread: measures on a fixed grid and hands over each sample, whatever the network does."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from muster_agent.buffer import Sample
from muster_agent.collectors.base import CollectorGroup
from muster_agent.exchange import Exchange
from muster_agent.schedule import Grid

log = logging.getLogger(__name__)

# What rates of the first sample are measured over, so that it has all its fields.
WARM_UP_S = 1.0


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

    def fields(self) -> dict[str, object]:
        """Measure now. The fields are those of "A sample" in the HTTP interface."""
        self._seq += 1
        identity = {"ts": rfc3339(self._wall_clock()), "boot_id": self._boot_id, "seq": self._seq}
        return {**identity, **self._collectors.collect(self._monotonic())}

    def sample(self) -> Sample:
        """Measure now, and encode."""
        encoded = json.dumps(self.fields(), allow_nan=False, separators=(",", ":")).encode()
        return Sample(self._boot_id, self._seq, encoded)

    def run(self, exchange: Exchange) -> None:
        """Sample until the exchange is stopped."""
        self.warm_up()
        interval_s = exchange.interval_s
        grid = Grid(self._monotonic() + min(WARM_UP_S, interval_s), interval_s)
        while not exchange.stopping:
            if exchange.interval_s != grid.interval_s:
                grid = Grid(self._monotonic(), exchange.interval_s)
            if exchange.wait_until(grid.next_after(self._monotonic()), grid.interval_s):
                self._hand_over(exchange)

    def _hand_over(self, exchange: Exchange) -> None:
        thinned = exchange.add(self.sample())
        if thinned:
            log.warning("the buffer is full: %d of the oldest samples were thinned out", thinned)


def rfc3339(unix_s: float) -> str:
    """Write a time in UTC with milliseconds."""
    whole_s, milliseconds = divmod(int(unix_s * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole_s))}.{milliseconds:03d}Z"
