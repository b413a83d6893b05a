"""Single values as other programs send them, in our own terms, and the scrapes that they come from. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from shared.errors import MusterError

SCRAPE_NS = 1_000_000_000
"""What was measured within so long is of one scrape: collectors read each kind of value at a moment of its own."""

MAX_LOOKED_AT = 60_000
"""How many values, labels and the like one request may have; what a request costs is about proportional to them."""

Quantity = Literal[
    "load1",
    "load5",
    "load15",
    "cpu_time",
    "cpu_share",
    "memory",
    "swap",
    "filesystem",
    "disk_io",
    "network_io",
    "tcp",
    "udp",
    "processes",
    "uptime",
    "boot_time",
]


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of one series at one time.

    `part` is what of the machine it is of, such as a device; `kind` which of several values of that part. Those of
    one part and kind are counted once, or added up, as the quantity demands. `series` tells it from all others.
    """

    quantity: Quantity
    part: str
    kind: str
    series: str
    value: float
    at_ns: int
    since_ns: int = 0
    """From when on a counter counts; 0 where that is not known."""
    is_delta: bool = False
    """Whether it is what was added since `since_ns`, and not a state or a count from the beginning."""


Scrape = Sequence[Reading]
"""Readings of about one moment, each series at most once."""


class TooMuch(MusterError):
    """A request has more to look at than `MAX_LOOKED_AT`: send it in parts."""

    code = "too_many_points"


class Allowance:
    """How much of a request may still be looked at."""

    def __init__(self, things: int = MAX_LOOKED_AT) -> None:
        self._left = things

    def spend(self, things: int) -> None:
        """Take that many from what is left; raises TooMuch."""
        self._left -= things
        if self._left < 0:
            raise TooMuch(f"more than {MAX_LOOKED_AT} data points, names and labels in one request")


def scrapes(readings: Iterable[Reading]) -> Iterator[Scrape]:
    """Yield the readings by the scrape that they come from, the oldest first."""
    scrape: list[Reading] = []
    seen: set[str] = set()
    for reading in sorted(readings, key=lambda each: each.at_ns):
        if scrape and (reading.at_ns - scrape[0].at_ns > SCRAPE_NS or reading.series in seen):
            yield scrape
            scrape, seen = [], set()
        scrape.append(reading)
        seen.add(reading.series)
    if scrape:
        yield scrape
