"""How often a client may send."""

from __future__ import annotations

from services.broadcaster.limits import TokenBucket


def test_a_burst_passes_and_then_no_more() -> None:
    bucket = TokenBucket(3, 1.0, now=0.0)
    assert [True, True, True, False] == [bucket.take(0.0) for _ in range(4)]


def test_in_the_long_run_so_many_pass_a_second() -> None:
    bucket = TokenBucket(2, 4.0, now=0.0)
    assert 2 + 40 == sum(bucket.take(now / 100) for now in range(1_001))


def test_a_pause_gives_no_more_than_a_burst() -> None:
    bucket = TokenBucket(2, 1.0, now=0.0)
    assert [True, True, False] == [bucket.take(1_000.0) for _ in range(3)]
