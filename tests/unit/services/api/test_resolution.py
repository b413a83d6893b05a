"""Which level answers, in what steps, so that there are never too many points."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.resolution import MAX_POINTS, Span, asked_for, chosen, points_of, span_of
from shared.io.problem import HttpError
from shared.levels import EPOCH, RAW, ROLLUPS

NOW = dt.datetime(2026, 3, 1, 12, 34, 56, 789, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ALL_KEPT = dict.fromkeys([RAW, *(level.name for level in ROLLUPS)], EPOCH)


@given(
    span=st.timedeltas(dt.timedelta(microseconds=1), 50 * 365 * DAY),
    end=st.datetimes(dt.datetime(2021, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001  (the strategy adds the zone)
    kept=st.lists(st.integers(0, 5000), min_size=4, max_size=4).map(sorted),
)
def test_steps_cover_the_span_in_few_enough_points(span: dt.timedelta, end: dt.datetime, kept: list[int]) -> None:
    asked = Span(max(EPOCH, end - span), end)
    kept_from = {level.name: end - days * DAY for level, days in zip(ROLLUPS, kept, strict=True)}
    plan = chosen(asked, kept_from)
    assert plan.step is not None
    assert plan.level is not None
    assert plan.step % plan.level.bucket == dt.timedelta(0)
    assert plan.begin <= asked.begin < plan.begin + plan.step
    assert plan.end - plan.step < asked.end <= plan.end
    assert 1 <= points_of(plan) <= MAX_POINTS


@pytest.mark.parametrize(
    ("days", "name", "step"), [(1, "1m", 60), (15, "15m", 900), (62, "1h", 3600), (366, "1d", 86_400)]
)
def test_finest_level_that_fits_is_taken(days: int, name: str, step: int) -> None:
    plan = chosen(Span(NOW - days * DAY, NOW), ALL_KEPT)
    assert plan.level is not None
    assert (name, dt.timedelta(seconds=step)) == (plan.level.name, plan.step)


@pytest.mark.parametrize(
    ("text", "level", "step"),
    [
        ("15m", "15m", 900),
        ("900", "15m", 900),
        ("1800", "15m", 1800),
        ("300", "1m", 300),
        ("7200", "1h", 7200),
        ("604800", "1d", 604_800),
        ("59", None, 59),
        ("1", None, 1),
    ],
)
def test_coarsest_level_of_which_a_step_is_a_multiple_is_read(text: str, level: str | None, step: int) -> None:
    plan = asked_for(text, Span(NOW - dt.timedelta(minutes=20), NOW))
    assert (level, dt.timedelta(seconds=step)) == (plan.level and plan.level.name, plan.step)


def test_step_that_gives_too_many_points_is_refused() -> None:
    assert MAX_POINTS == points_of(asked_for("1m", Span(EPOCH, EPOCH + dt.timedelta(minutes=MAX_POINTS))))
    with pytest.raises(HttpError) as refused:
        asked_for("1m", Span(EPOCH, EPOCH + dt.timedelta(minutes=MAX_POINTS, microseconds=1)))
    assert "resolution" == refused.value.errors[0].field


def test_span_ends_now_and_is_as_long_as_usual() -> None:
    assert Span(NOW - DAY, NOW) == span_of(None, None, NOW, DAY)
    assert Span(NOW - 2 * DAY, NOW - DAY) == span_of(None, NOW - DAY, NOW, DAY)
    assert Span(EPOCH, EPOCH + DAY / 2) == span_of(None, EPOCH + DAY / 2, NOW, DAY)
