"""When a topic's frames go out."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.broadcaster.pacing import Pacing


def test_nothing_is_due_while_nothing_has_changed() -> None:
    assert inf == Pacing(0.1).due_at


def test_the_first_change_is_due_at_once() -> None:
    pacing = Pacing(0.1)
    pacing.mark()
    assert pacing.due_at <= 0.0


def test_what_changes_after_a_frame_waits_for_the_end_of_the_tick() -> None:
    pacing = Pacing(0.1)
    pacing.mark()
    pacing.sent(5.0, 5.0)
    pacing.mark()
    assert 5.1 == pacing.due_at


def test_a_fan_out_that_takes_long_is_followed_by_a_rest() -> None:
    pacing = Pacing(0.1)
    pacing.mark()
    pacing.sent(5.0, 5.2)
    pacing.mark()
    assert 5.4 == pytest.approx(pacing.due_at)


def test_a_change_that_is_sent_in_another_way_is_not_due() -> None:
    pacing = Pacing(0.1)
    pacing.mark()
    pacing.clear()
    assert inf == pacing.due_at


@given(st.lists(st.floats(0, 0.3), max_size=50))
def test_frames_are_a_tick_apart_and_no_change_waits_longer(pauses: list[float]) -> None:
    pacing, now, sent = Pacing(0.1), 0.0, list[float]()
    for pause in pauses:
        now += pause
        while pacing.due_at <= now:
            at = pacing.due_at
            pacing.sent(at, at)
            sent.append(at)
        pacing.mark()
        if pacing.due_at <= now:
            pacing.sent(now, now)
            sent.append(now)
        assert pacing.due_at == inf or pacing.due_at <= now + 0.1
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(sent))
