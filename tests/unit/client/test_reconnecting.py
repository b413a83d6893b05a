"""When the Python client comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_client.reconnecting import Ending, Reconnecting, Retry, Stop, pause_s


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_are_anywhere_below_a_ceiling_that_doubles_up_to_20_s(tries: int, random: float) -> None:
    assert 0 <= pause_s(tries, random) < min(20.0, 0.5 * 2 ** min(tries, 9))


def test_the_ceiling_is_reached() -> None:
    assert [0.25, 0.5, 1, 2, 4, 8, 10, 10] == [pause_s(tries, 0.5) for tries in range(8)]


@given(st.floats(0, 1, exclude_max=True))
def test_a_time_of_the_server_wins_and_is_never_undercut(random: float) -> None:
    assert 30 <= pause_s(0, random, 30) <= 33


@pytest.mark.parametrize(("code", "name"), [(4400, "bad_request"), (4403, "forbidden")])
def test_some_codes_are_final(code: int, name: str) -> None:
    assert Stop(name) == Reconnecting().ended(Ending(code, ""), 0, 0.5)


def test_an_expired_token_is_spent_and_the_client_comes_back_at_once() -> None:
    assert Retry(0, is_token_spent=True) == Reconnecting().ended(Ending(4401, "expired"), 0, 0.5)


@pytest.mark.parametrize("code", [4408, 4503])
def test_who_is_told_to_resume_comes_back_at_once(code: int) -> None:
    assert Retry(0.15) == Reconnecting().ended(Ending(code, ""), 0, 0.5)


@pytest.mark.parametrize("code", [4401, 4408, 4503])
def test_a_server_that_lets_in_and_sends_away_is_not_called_in_a_loop(code: int) -> None:
    reconnecting, pauses = Reconnecting(), []
    for now in range(4):
        reconnecting.welcomed(now)
        verdict = reconnecting.ended(Ending(code, ""), now + 0.5, 0.5)
        assert isinstance(verdict, Retry)
        pauses.append(verdict.after_s)
    assert [0.5, 1, 2] == pauses[1:]


def test_a_connection_that_held_shows_that_the_trouble_is_over() -> None:
    reconnecting = Reconnecting()
    for _ in range(5):
        reconnecting.ended(Ending(1006, ""), 0, 0.5)
    reconnecting.welcomed(100)
    assert Retry(0.25) == reconnecting.ended(Ending(1006, ""), 105, 0.5)
    assert Retry(0.5) == reconnecting.ended(Ending(1006, ""), 105, 0.5)


@pytest.mark.parametrize(
    ("reason", "after_s"),
    [("too many messages; retry_after_ms=10000", 10), ("retry_after_ms=1500", 1.5), ("retry_after_ms=2.5", 0.0025)],
)
def test_a_time_in_the_reason_is_waited_for(reason: str, after_s: float) -> None:
    assert Retry(after_s) == Reconnecting().ended(Ending(4429, reason, retry_after_s=99), 0, 0)


def test_too_many_without_a_time_is_backed_off_from() -> None:
    assert Retry(0.25) == Reconnecting().ended(Ending(4429, "too many of 3"), 0, 0.5)


def test_a_time_that_was_named_before_the_end_is_waited_for() -> None:
    assert Retry(7.0) == Reconnecting().ended(Ending(1013, "later", retry_after_s=7), 0, 0)


def test_only_the_first_welcome_is_the_first() -> None:
    reconnecting = Reconnecting()
    assert [True, False] == [reconnecting.welcomed(0), reconnecting.welcomed(1)]
