"""What the end of a stream means, code by code."""

from __future__ import annotations

import json

import pytest

from muster_agent.answers import Answer
from muster_agent.endings import error_of_close, error_of_refusal
from muster_agent.errors import (
    CredentialRefused,
    Displaced,
    ReplicaLeaves,
    RequestRefused,
    StreamUnusable,
    Throttled,
    TooLarge,
    Unavailable,
)
from muster_agent.wire import Closed


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1001, ReplicaLeaves),
        (1012, ReplicaLeaves),
        (1009, TooLarge),
        (4400, RequestRefused),
        (4401, CredentialRefused),
        (4409, Displaced),
        (4429, Throttled),
        (1013, Unavailable),
        (1006, Unavailable),
        (1011, Unavailable),
    ],
)
def test_each_close_code_is_an_error_of_its_own(code: int, kind: type[Exception]) -> None:
    assert kind is type(error_of_close(Closed(code, ""), was_answered=True))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [('{"retry_after_s": 2.5}', 2.5), ("slow down", None), ("[]", None), ('{"retry_after_s":"x"}', None)],
)
def test_who_sent_too_much_is_told_when_to_return(reason: str, expected: float | None) -> None:
    assert expected == error_of_close(Closed(4429, reason), was_answered=True).retry_after_s


@pytest.mark.parametrize("code", [1006, 1002, 1011])
def test_a_stream_that_does_not_survive_its_first_answer_may_be_a_proxys_fault(code: int) -> None:
    assert isinstance(error_of_close(Closed(code, ""), was_answered=False), StreamUnusable)


@pytest.mark.parametrize("code", [1012, 4401, 4408, 1013])
def test_a_reason_that_the_server_gives_is_no_proxys_fault(code: int) -> None:
    assert not isinstance(error_of_close(Closed(code, ""), was_answered=False), StreamUnusable)


def refused(status: int, code: str = "", headers: dict[str, str] | None = None) -> Exception:
    body = json.dumps({"code": code}).encode() if code else b"<html>"
    return error_of_refusal(Answer(status, headers or {}, body), 0.0)


def test_a_revoked_credential_is_told_by_muster_alone() -> None:
    assert isinstance(refused(401, "credential_revoked"), CredentialRefused)
    assert isinstance(refused(403), StreamUnusable)


def test_a_server_without_room_says_when_to_return() -> None:
    error = refused(503, "draining", {"retry-after": "3"})
    assert isinstance(error, Unavailable)
    assert (3.0, False) == (error.retry_after_s, isinstance(error, StreamUnusable))


@pytest.mark.parametrize(
    ("status", "is_certain"), [(404, True), (426, True), (400, True), (502, False), (504, False), (503, False)]
)
def test_whoever_else_refuses_may_know_no_streams(status: int, is_certain: bool) -> None:
    error = refused(status)
    assert isinstance(error, StreamUnusable)
    assert is_certain == error.is_certain
