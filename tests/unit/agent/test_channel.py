"""When plain HTTP takes over from the stream, and for how long."""

from __future__ import annotations

import pytest

from muster_agent.channel import HTTP, STREAM, Channel


def test_a_stream_is_tried_first() -> None:
    assert STREAM == Channel().choose(0.0)


@pytest.mark.parametrize("asked", [STREAM, HTTP])
def test_what_the_user_asks_for_stays(asked: str) -> None:
    channel = Channel(asked)
    channel.stream_failed(is_certain=True)
    channel.plain_succeeded(0.0)
    assert asked == channel.choose(0.0)
    assert None is channel.seconds_of_http(0.0)


def test_somebody_who_says_that_there_is_no_stream_is_believed_once_plain_requests_succeed() -> None:
    channel = Channel()
    channel.stream_failed(is_certain=True)
    assert HTTP == channel.choose(0.0)
    assert channel.plain_succeeded(0.0)
    assert [HTTP, HTTP, STREAM] == [channel.choose(now_s) for now_s in (0.0, 599.0, 600.0)]
    assert 600.0 == channel.seconds_of_http(0.0)


def test_a_silent_failure_must_come_twice() -> None:
    channel = Channel()
    channel.stream_failed(is_certain=False)
    assert (HTTP, False) == (channel.choose(0.0), channel.plain_succeeded(0.0))
    assert STREAM == channel.choose(0.0)
    channel.stream_failed(is_certain=False)
    assert channel.plain_succeeded(0.0)
    assert HTTP == channel.choose(1.0)


def test_after_ten_minutes_one_failure_is_enough() -> None:
    channel = Channel()
    channel.stream_failed(is_certain=True)
    channel.plain_succeeded(0.0)
    channel.stream_failed(is_certain=False)
    assert HTTP == channel.choose(601.0)
    assert channel.plain_succeeded(601.0)


def test_a_server_that_is_away_says_nothing_of_streams() -> None:
    channel = Channel()
    channel.stream_failed(is_certain=False)
    channel.plain_failed()
    assert STREAM == channel.choose(0.0)


def test_a_stream_that_works_is_forgiven_everything() -> None:
    channel = Channel()
    channel.stream_failed(is_certain=False)
    channel.plain_succeeded(0.0)
    channel.stream_answered()
    channel.stream_failed(is_certain=False)
    assert not channel.plain_succeeded(0.0)
