"""Gaps are where something was to be expected, whatever the interval, and however it changed."""

import datetime as dt
from collections.abc import Sequence

import msgspec
import pytest

from services.api.gaps import Gap, Points, gaps_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def found(
    times: Sequence[float], end: float, step: float = 0, samples: Sequence[int] | None = None
) -> list[tuple[float, float]]:
    points = Points([at(each) for each in times], samples or [1] * len(times), dt.timedelta(seconds=step))
    gaps = gaps_of(points, START, at(end))
    return [((gap.begin - START).total_seconds(), (gap.end - START).total_seconds()) for gap in gaps]


def test_nothing_at_all_is_one_gap() -> None:
    assert [(0, 100)] == found([], 100)
    assert [] == gaps_of(Points([], []), START, START)


@pytest.mark.parametrize("interval", [1, 5, 60])
def test_one_or_two_lost_samples_are_no_gap_but_more_are(interval: int) -> None:
    times = [n * interval for n in range(100)]
    end = 100 * interval
    assert [] == found([t for t in times if t not in {50 * interval, 51 * interval}], end)
    without_three = [t for t in times if not 50 * interval <= t < 53 * interval]
    assert [(49 * interval, 53 * interval)] == found(without_three, end)


def test_interval_may_change_without_a_gap() -> None:
    times = [*range(0, 500, 5), *range(500, 2000, 15), *range(2000, 2400, 5)]
    assert [] == found(times, 2400)


def test_silence_at_either_end_is_a_gap() -> None:
    times = list(range(100, 200, 5))
    assert [(0, 100), (195, 300)] == found(times, 300)
    assert [] == found([t - 100 for t in times], 109), "what is under way is none"


def test_missing_steps_are_a_gap_from_the_end_of_one_to_the_next() -> None:
    times = [n * 60 for n in range(30) if n not in {10, 11}]
    assert [(600, 720)] == found(times, 1800, step=60, samples=[12] * 28)


def test_samples_that_come_more_seldom_than_steps_are_no_gap() -> None:
    assert [] == found([n * 300 for n in range(20)], 6000, step=60)
    assert [(1560, 3000)] == found([n * 300 for n in range(20) if not 5 < n < 10], 6000, step=60)


def test_step_of_few_samples_is_a_gap_but_not_after_the_interval_has_changed() -> None:
    times = [n * 60 for n in range(60)]
    assert [(1200, 1260)] == found(times, 3600, step=60, samples=[12] * 20 + [3] + [12] * 39)
    assert [] == found(times, 3600, step=60, samples=[12] * 20 + [7] + [12] * 39)
    assert [] == found(times, 3600, step=60, samples=[12] * 30 + [4] * 30)


def test_step_that_is_not_over_may_have_few_samples() -> None:
    times = [n * 60 for n in range(60)]
    assert [] == found(times, 3560, step=60, samples=[12] * 59 + [1])


def test_gaps_that_touch_are_one() -> None:
    times = [n * 60 for n in range(60) if n != 21]
    assert [(1200, 1320)] == found(times, 3600, step=60, samples=[12] * 20 + [3] + [12] * 38)


def test_gap_is_named_from_and_to() -> None:
    assert {"from": START, "to": at(1)} == msgspec.to_builtins(Gap(START, at(1)), builtin_types=(dt.datetime,))


@pytest.mark.parametrize("after", [2, 4, 6, 20])
def test_whole_steps_of_another_interval_are_no_gap_at_either_end(after: int) -> None:
    for samples in ([60] * 20 + [20] * after, [20] * after + [60] * 20):
        times = [n * 300 for n in range(len(samples))]
        assert [] == found(times, 300 * len(samples), step=300, samples=samples)


def test_steps_with_few_samples_between_full_ones_are_a_gap() -> None:
    samples = [60] * 10 + [20] * 3 + [60] * 10
    times = [n * 300 for n in range(len(samples))]
    assert [(3000, 3900)] == found(times, 300 * len(samples), step=300, samples=samples)
