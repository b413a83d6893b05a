"""Who is gone when connections break, and when the fault is ours."""

import pytest

from services.ingest.stream.departures import Departures


@pytest.mark.parametrize(
    ("broken", "standing", "gone"),
    [(1, 0, True), (4, 0, True), (5, 0, False), (5, 11, False), (5, 12, True), (30, 70, True), (31, 69, False)],
)
def test_large_share_that_breaks_at_once_is_our_fault(broken: int, standing: int, gone: bool) -> None:
    departures: Departures[int] = Departures()
    for one in range(broken):
        departures.note(f"a_{one}", one)
    assert [] == departures.judge(standing)[0]
    assert (list(range(broken)), gone) == departures.judge(standing)
    assert [] == departures.judge(standing)[0]


def test_those_who_break_in_the_rounds_before_and_after_count_as_well() -> None:
    departures: Departures[str] = Departures()
    departures.note("first", "first")
    departures.judge(9)
    for one in "abcd":
        departures.note(one, one)
    assert (["first"], False) == departures.judge(5)
    assert (["a", "b", "c", "d"], False) == departures.judge(5)


def test_those_of_two_rounds_before_are_forgotten() -> None:
    departures: Departures[str] = Departures()
    for one in "abcde":
        departures.note(one, one)
    for _ in range(3):
        departures.judge(0)
    departures.note("last", "last")
    departures.judge(9)
    assert (["last"], True) == departures.judge(9)


def test_one_agent_that_comes_and_goes_is_no_outage() -> None:
    departures: Departures[int] = Departures()
    for one in range(9):
        departures.note("a_1", one)
    departures.judge(3)
    assert (list(range(9)), True) == departures.judge(3)
