"""How gently what was missed follows."""

from __future__ import annotations

import math

import pytest

from muster_agent.pace import Pace


def highest(_low: float, high: float) -> float:
    return high


def lowest(low: float, _high: float) -> float:
    return low


@pytest.fixture
def pace() -> Pace:
    paced = Pace(lowest)
    paced.begin(100.0, 5.0, 1000.0)
    return paced


def test_nothing_goes_before_the_server_has_come_back() -> None:
    assert math.inf == Pace().next_s


def test_a_fleet_begins_spread_over_six_intervals() -> None:
    paced = Pace(highest)
    paced.begin(100.0, 5.0, 1000.0)
    assert 1030.0 == paced.next_s


def test_the_rate_of_the_server_is_kept(pace: Pace) -> None:
    pace.sent(50, 1000.0)
    assert 1000.5 == pace.next_s


def test_less_than_one_a_second_is_one_at_a_time(pace: Pace) -> None:
    pace.change(0.1, 5.0)
    assert 1 == pace.limit()
    pace.sent(1, 1000.0)
    assert 1010.0 == pace.next_s


def test_a_rate_of_nothing_holds_everything_back(pace: Pace) -> None:
    pace.change(0.0, 5.0)
    assert math.inf == pace.next_s
    pace.change(100.0, 5.0)
    assert 1000.0 == pace.next_s


def test_batches_grow_up_to_a_second_of_the_rate_while_answers_are_quick(pace: Pace) -> None:
    limits = []
    for _ in range(5):
        limits.append(pace.limit())
        pace.answered(0.01)
    assert [10, 20, 40, 80, 100] == limits


def test_batches_shrink_on_a_line_on_which_they_delay_live_samples(pace: Pace) -> None:
    limits = []
    for _ in range(5):
        limits.append(pace.limit())
        pace.answered(2.6)
    assert [10, 5, 2, 1, 1] == limits


def test_being_held_never_makes_it_earlier(pace: Pace) -> None:
    pace.hold(1005.0)
    pace.hold(1001.0)
    assert 1005.0 == pace.next_s
