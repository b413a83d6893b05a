"""Every agent may send so much a second, and so much at once."""

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
    limited.take("a", 19)
    assert 0 < limited.take("a", 5)
    assert 0 == limited.take("a", 1)


def test_one_does_not_pay_for_another() -> None:
    limited = rates(Clock())
    limited.take("a", 20)
    assert 0 == limited.take("b", 20)


def test_memory_is_bounded() -> None:
    limited = rates(Clock(), capacity=10)
    for key in range(1000):
        limited.take(key, 1)
    assert 10 == len(limited._full_at)
