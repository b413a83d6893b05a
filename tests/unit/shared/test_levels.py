"""Buckets begin at multiples of their length, and every length is made of the one before."""

import datetime as dt
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.levels import COUNTERS, EPOCH, GAUGES, LATE_SPAN, NUMBERS, RAW_PARTITION, ROLLUPS, Level, floor

NOTHING = dt.timedelta(0)
moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2900, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001  (the strategy adds the zone)


@given(moment=moments, level=st.sampled_from(ROLLUPS))
def test_moment_lies_in_its_bucket(moment: dt.datetime, level: Level) -> None:
    for length in (level.bucket, level.partition):
        begin = floor(moment, length)
        assert begin <= moment < begin + length
        assert NOTHING == (begin - EPOCH) % length


def test_zone_of_a_moment_does_not_matter() -> None:
    moment = dt.datetime(2026, 3, 1, 0, 20, tzinfo=dt.timezone(dt.timedelta(minutes=17)))
    assert dt.datetime(2026, 3, 1, tzinfo=dt.UTC) == floor(moment, dt.timedelta(minutes=15))


def test_each_level_is_made_of_whole_buckets_of_the_one_before() -> None:
    for finer, coarser in pairwise(ROLLUPS):
        assert NOTHING == coarser.bucket % finer.bucket
        assert NOTHING == coarser.partition % finer.partition
    for level in ROLLUPS:
        assert NOTHING == level.partition % level.bucket
        assert NOTHING == max(level.bucket, LATE_SPAN) % min(level.bucket, LATE_SPAN)
        assert NOTHING == level.partition % RAW_PARTITION


def test_every_number_is_a_counter_or_a_gauge() -> None:
    assert sorted(NUMBERS) == sorted([*COUNTERS, *GAUGES])
