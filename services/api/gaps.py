"""Where history has nothing although something was to be expected. Pure.

What is to be expected is told from the points around: an agent may have been told to send more seldom, or more often.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec

AROUND = 7
"""So many points on either side say what is to be expected."""
MISSED = 3
"""So many intervals without a sample are a gap."""
COMMITTED_AFTER = dt.timedelta(seconds=10)
"""What was measured so recently may still be under way."""

_NOTHING = dt.timedelta(0)
_Measure = TypeVar("_Measure", dt.timedelta, int)


class Gap(msgspec.Struct, frozen=True):
    """A time without samples, or with less than half of those that were to be expected."""

    begin: dt.datetime = msgspec.field(name="from")
    end: dt.datetime = msgspec.field(name="to")


class Points(msgspec.Struct, frozen=True):
    """When points are, in order, what time each covers (nothing, where they are samples), and of how many samples."""

    times: Sequence[dt.datetime]
    samples: Sequence[int]
    step: dt.timedelta = _NOTHING


def gaps_of(points: Points, begin: dt.datetime, end: dt.datetime) -> list[Gap]:
    """Return the gaps between two moments, of which the second is not in the future; those that touch are one."""
    if not points.times:
        return [Gap(begin, end)] if begin < end else []
    found = sorted([*_between(points), *_sparse(points, begin, end), *_at_the_ends(points, begin, end)])
    return [Gap(*gap) for gap in _joined(found, begin, end)]


def _between(points: Points) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    distances = [later - earlier for earlier, later in pairwise(points.times)]
    for place, distance in enumerate(distances):
        if distance > points.step and distance > _allowed(_usual(distances, place), points.step):
            yield points.times[place] + points.step, points.times[place + 1]


def _sparse(points: Points, begin: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Yield what is covered by points of less than half the samples that those around have, of whole points alone."""
    most = max(points.samples) if points.step else 0
    for place, count in enumerate(points.samples):
        is_whole = begin <= points.times[place] <= end - points.step
        if 2 * count < most and is_whole and 2 * count < _least_expected(points.samples, place):
            yield points.times[place], points.times[place] + points.step


def _at_the_ends(points: Points, begin: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    distances = [later - earlier for earlier, later in pairwise(points.times)] or [points.step]
    first, last = points.times[0], points.times[-1] + points.step
    if first - begin > _allowed(_usual(distances, 0), points.step) - points.step:
        yield begin, first
    interval = _usual(distances, len(distances) - 1) / max(1, _usual(points.samples, len(points.samples) - 1))
    if end - last > max(MISSED * interval, COMMITTED_AFTER):
        yield last, end


def _least_expected(samples: Sequence[int], place: int) -> int:
    """Return the lesser of what is usual before a place and after it: the interval may have been changed just there.

    At an end, where one side says nothing, the next point has to agree with the other side.
    """
    before, after = samples[max(0, place - AROUND) : place], samples[place + 1 : place + AROUND + 1]
    sides = [_median(side) for side in (before, after) if side]
    if not after:
        sides += before[-1:]
    if not before:
        sides += after[:1]
    return min(sides, default=0)


def _usual(values: Sequence[_Measure], place: int) -> _Measure:
    """Return the median of the values around a place."""
    return _median(values[max(0, place - AROUND) : place + AROUND + 1])


def _median(values: Sequence[_Measure]) -> _Measure:
    return sorted(values)[len(values) // 2]


def _allowed(usual: dt.timedelta, step: dt.timedelta) -> dt.timedelta:
    """Return how far apart points may be: next to each other, unless samples come more seldom than that."""
    return step if usual <= step and step else MISSED * usual


def _joined(
    gaps: Iterable[tuple[dt.datetime, dt.datetime]], begin: dt.datetime, end: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime]]:
    joined: list[tuple[dt.datetime, dt.datetime]] = []
    for gap_begin, gap_end in gaps:
        first, last = max(gap_begin, begin), min(gap_end, end)
        if first >= last:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined
