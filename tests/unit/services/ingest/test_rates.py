"""Every agent may send so much a second, and so much at once."""

import pytest

from services.ingest.rates import Rates


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def rates(clock: Clock, *, capacity: int = 100) -> Rates:
    return Rates(per_s=10, burst=20, capacity=capacity, clock=clock)


def test_burst_may_be_taken_at_once_and_no_more() -> None:
    clock = Clock()
    limited = rates(clock)
    assert 0 == limited.take("a", 20)
    assert 0.1 == round(limited.take("a", 1), 6)


def test_time_fills_the_bucket_again() -> None:
    clock = Clock()
    limited = rates(clock)
    limited.take("a", 20)
    clock.now_s += 0.5
    assert 0 == limited.take("a", 5)
    assert 0 < limited.take("a", 1)


def test_bucket_does_not_run_over() -> None:
    clock = Clock()
    limited = rates(clock)
    limited.take("a", 1)
    clock.now_s += 3600
    assert 0 == limited.take("a", 20)
    assert 0 < limited.take("a", 1)


def test_what_was_refused_costs_nothing() -> None:
    clock = Clock()
    limited = rates(clock)
    limited.take("a", 20)
    assert 0 < limited.take("a", 5)
    clock.now_s += 0.11
    assert 0 == limited.take("a", 1)


def test_what_is_worth_more_than_the_burst_can_be_done_and_is_owed() -> None:
    clock = Clock()
    limited = rates(clock)
    assert 0 == limited.owed_s("a")
    assert 0 == limited.take("a", 50)
    assert 3 == round(limited.owed_s("a"), 6)
    assert 3.1 == round(limited.take("a", 1), 6)
    clock.now_s += 3.2
    assert 0 == limited.owed_s("a")
    assert 0 == limited.take("a", 50)


def test_waiting_as_long_as_told_is_enough_whatever_it_costs() -> None:
    clock = Clock()
    limited = rates(clock)
    assert 0 == limited.take("a", 70)
    for _ in range(5):
        clock.now_s += limited.take("a", 70) + 1e-9
        assert 0 == limited.take("a", 70)


def test_charge_is_taken_in_any_case() -> None:
    clock = Clock()
    limited = rates(clock)
    limited.charge("a", 25)
    limited.charge("a", 5)
    assert 1 == round(limited.owed_s("a"), 6)
    assert 0 == limited.owed_s("b")


def test_rate_with_which_nothing_could_be_done_is_refused() -> None:
    with pytest.raises(ValueError, match="at once"):
        Rates(per_s=10, burst=0, capacity=1, clock=Clock())


def test_one_does_not_pay_for_another() -> None:
    limited = rates(Clock())
    limited.take("a", 20)
    assert 0 == limited.take("b", 20)


def test_memory_is_bounded() -> None:
    limited = rates(Clock(), capacity=10)
    for key in range(1000):
        limited.take(key, 1)
    assert 10 == len(limited._full_at)
