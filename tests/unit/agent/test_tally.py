"""How repeated events are gathered for the log."""

from __future__ import annotations

from muster_agent.tally import Tally


def test_the_first_event_is_told_at_once() -> None:
    tally = Tally()
    tally.count("too_old", 3)
    assert {"too_old": 3} == tally.due(10.0)


def test_nothing_is_told_where_nothing_happened() -> None:
    assert {} == Tally().due(10.0)


def test_later_events_gather_until_the_period_is_over() -> None:
    tally = Tally(period_s=60.0)
    tally.count("too_old")
    tally.due(10.0)
    tally.count("too_old")
    assert {} == tally.due(69.9)
    tally.count("not_finite", 2)
    assert {"too_old": 1, "not_finite": 2} == tally.due(70.0)


def test_what_was_told_is_not_told_again() -> None:
    tally = Tally(period_s=60.0)
    tally.count("too_old")
    tally.due(10.0)
    assert {} == tally.due(1000.0)
