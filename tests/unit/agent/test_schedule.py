"""When samples are taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muster_agent.schedule import Grid


def test_the_first_instant_is_the_origin() -> None:
    assert 100.0 == Grid(100.0, 5.0).next_after(99.0)


def test_an_instant_that_has_come_is_over() -> None:
    assert 105.0 == Grid(100.0, 5.0).next_after(100.0)


def test_the_time_that_a_sample_takes_does_not_shift_the_next() -> None:
    grid = Grid(100.0, 5.0)
    assert [105.0, 110.0, 115.0] == [grid.next_after(now_s) for now_s in (100.4, 105.001, 114.999)]


def test_instants_missed_in_a_sleep_are_skipped() -> None:
    assert 3705.0 == Grid(100.0, 5.0).next_after(3702.5)


@given(
    st.floats(min_value=0, max_value=1e7),
    st.floats(min_value=0.1, max_value=3600),
    st.floats(min_value=0, max_value=1e6),
)
def test_the_next_instant_is_later_than_now_and_at_most_one_interval_away(
    origin_s: float, interval_s: float, passed_s: float
) -> None:
    now_s = origin_s + passed_s
    next_s = Grid(origin_s, interval_s).next_after(now_s)
    assert next_s > now_s
    assert next_s - now_s <= interval_s * (1 + 1e-6) + 1e-6


@given(st.floats(min_value=0, max_value=1e6), st.sampled_from([0.1, 0.3, 1.0, 5.0, 7.7, 60.0]))
def test_following_the_grid_never_gives_an_instant_twice(origin_s: float, interval_s: float) -> None:
    grid = Grid(origin_s, interval_s)
    instants = [grid.next_after(origin_s - 1)]
    for _ in range(100):
        instants.append(grid.next_after(instants[-1]))
    assert instants == sorted(set(instants))
    assert abs((instants[-1] - origin_s) / interval_s - 100) < 0.01
