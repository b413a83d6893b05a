"""The levels at which the history of metrics is kept: every sample, and what they amount to in longer buckets.

A bucket is known by the moment at which it begins, a multiple of its length since 1970 in UTC.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from shared.resources.metrics import DETAILS, MEASUREMENTS

COUNTERS = ("net_rx_total", "net_tx_total", "uptime_s")
"""Measurements that only grow until something starts anew: of a bucket's, the greatest is kept alone."""

GAUGES = tuple(name for name in MEASUREMENTS if name not in {*DETAILS, *COUNTERS})
"""Measurements of which a bucket has the average, the least and the greatest."""

NUMBERS = tuple(name for name in MEASUREMENTS if name not in DETAILS)
"""All that history can be asked for."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Level(msgspec.Struct, frozen=True):
    """Rollups of one length: `table` has a partition for each `partition` of time, which is dropped whole."""

    name: str
    table: str
    bucket: timedelta
    partition: timedelta


ONE_MINUTE = Level("1m", "metrics_1m", timedelta(minutes=1), timedelta(days=1))
QUARTER_HOUR = Level("15m", "metrics_15m", timedelta(minutes=15), timedelta(days=7))
ONE_HOUR = Level("1h", "metrics_1h", timedelta(hours=1), timedelta(days=28))
ONE_DAY = Level("1d", "metrics_1d", timedelta(days=1), timedelta(days=364))

ROLLUPS = (ONE_MINUTE, QUARTER_HOUR, ONE_HOUR, ONE_DAY)
"""From fine to coarse: each is made from the one before, the first from the samples."""

RAW = "raw"
RAW_PARTITION = timedelta(days=1)
LATE_SPAN = QUARTER_HOUR.bucket
"""In stretches of this length it is noted where samples came late."""


def floor(moment: datetime, length: timedelta) -> datetime:
    """Return the beginning of the bucket of this length in which a moment lies."""
    return EPOCH + (moment - EPOCH) // length * length
