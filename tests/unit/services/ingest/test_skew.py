"""How far an agent's clock is ahead is the median of what its newest samples tell."""

from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.skew import MEASURE_EVERY_S, SkewEstimate, skew_s

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def measure(estimate: SkewEstimate, *ahead_s: float, first_seq: int = 1, boot_id: str = "b") -> list[float | None]:
    return [
        estimate.measure(boot_id, first_seq + number, NOW + timedelta(seconds=ahead), NOW, 0.0)
        for number, ahead in enumerate(ahead_s)
    ]


def test_estimate_is_told_once_and_again_when_it_has_moved() -> None:
    estimate = SkewEstimate("b", None)
    assert [None, None, 3600.0, None, None] == measure(estimate, 3600, 3600, 3600, 3600.4, 3601)
    assert [None, None, 12.0] == measure(estimate, 12, 12, 12, first_seq=6)


def test_clock_that_is_right_is_not_told() -> None:
    assert [None] * 5 == measure(SkewEstimate("b", None), 0.1, -0.9, 1.0, 0.2, 0.3)


def test_clock_that_was_set_right_is_told() -> None:
    assert [None, None, 0.0] == measure(SkewEstimate("b", 3600.0), 0, 0, 0)


def test_messages_that_were_held_up_do_not_move_it() -> None:
    assert [None] * 5 == measure(SkewEstimate("b", None), 0, -300, 0, -300, 0)


def test_what_was_kept_during_an_outage_tells_nothing() -> None:
    estimate = SkewEstimate("b", None)
    measure(estimate, 0, first_seq=100)
    assert [None] * 5 == measure(estimate, -60, -59, -58, -57, -56, first_seq=50)
    assert [None] * 5 == measure(estimate, -60, -59, -58, -57, -56, first_seq=200, boot_id="before")


def test_it_is_measured_now_and_then_only() -> None:
    estimate = SkewEstimate("b", None)
    estimate.measure("b", 1, NOW, NOW, 50.0)
    assert not estimate.is_due(50.0 + MEASURE_EVERY_S - 0.1)
    assert estimate.is_due(50.0 + MEASURE_EVERY_S)


@pytest.mark.parametrize(("ahead_s", "told_s"), [(0.26, 0.3), (-7200, -7200), (1e9, 1e9)])
def test_it_is_told_to_a_tenth_of_a_second(ahead_s: float, told_s: float) -> None:
    assert told_s == skew_s(NOW + timedelta(seconds=ahead_s), NOW)
