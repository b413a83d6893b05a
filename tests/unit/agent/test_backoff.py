"""How long the agent waits between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muster_agent.backoff import Backoff


def most(_low: float, high: float) -> float:
    return high


def least(low: float, _high: float) -> float:
    return low


def test_the_bound_doubles_from_a_second_to_a_minute() -> None:
    backoff = Backoff(most)
    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] == [backoff.next_delay_s() for _ in range(8)]


def test_jitter_reaches_down_to_no_wait_at_all() -> None:
    backoff = Backoff(least)
    assert [0.0, 0.0, 0.0] == [backoff.next_delay_s() for _ in range(3)]


def test_reset_returns_to_the_first_window() -> None:
    backoff = Backoff(most)
    backoff.next_delay_s()
    backoff.next_delay_s()
    backoff.reset()
    assert 1.0 == backoff.next_delay_s()


def test_what_the_server_asks_for_wins_over_the_window() -> None:
    assert 30.0 == Backoff(least).next_delay_s(retry_after_s=30.0)


def test_agents_that_were_told_the_same_time_do_not_return_together() -> None:
    assert 33.0 == Backoff(most).next_delay_s(retry_after_s=30.0)


def test_more_than_an_hour_is_not_believed() -> None:
    assert 3600.0 == Backoff(least).next_delay_s(retry_after_s=1e9)


def test_a_wait_of_its_own_is_spread_whatever_failed_before() -> None:
    backoff = Backoff(most)
    backoff.next_delay_s()
    assert 66.0 == backoff.spread_s(60.0, 6.0)


@given(st.lists(st.none() | st.floats(min_value=0, max_value=1e6), max_size=30))
def test_a_delay_is_never_shorter_than_what_was_asked_nor_longer_than_the_bounds(asked: list[float | None]) -> None:
    backoff = Backoff()
    for retry_after_s in asked:
        delay_s = backoff.next_delay_s(retry_after_s)
        if retry_after_s is None:
            assert 0 <= delay_s <= 60
        else:
            assert min(retry_after_s, 3600) <= delay_s <= 3960
