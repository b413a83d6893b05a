"""How the server's answers are understood."""

from __future__ import annotations

import json

import pytest

from muster_agent import answers
from muster_agent.answers import Answer, Handshake, Rejection
from muster_agent.errors import (
    CredentialRefused,
    DeliveryError,
    RequestRefused,
    Throttled,
    TooLarge,
    Unavailable,
)
from muster_agent.terms import Terms


def an_answer(status: int, body: object = None, **headers: str) -> Answer:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, encoded)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, CredentialRefused),
        (403, CredentialRefused),
        (404, Unavailable),
        (408, Unavailable),
        (413, TooLarge),
        (429, Throttled),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (200, Unavailable),
        (308, Unavailable),
    ],
)
def test_a_status_becomes_the_error_that_says_what_to_do(status: int, kind: type[DeliveryError]) -> None:
    assert kind is type(answers.error_of(an_answer(status), now_unix_s=0.0))


@pytest.mark.parametrize("status", [400, 422])
def test_only_the_server_itself_can_refuse_for_good(status: int) -> None:
    assert RequestRefused is type(answers.error_of(an_answer(status, {"code": "invalid"}), now_unix_s=0.0))
    for body in (b"<html>The plain HTTP request was sent to HTTPS port</html>", {"error": "blocked"}, {"code": 3}):
        assert Unavailable is type(answers.error_of(an_answer(status, body), now_unix_s=0.0))


def test_what_is_too_large_for_somebody_on_the_way_may_not_be_for_the_server() -> None:
    said = [answers.error_of(an_answer(413, body), now_unix_s=0.0) for body in ({"code": "too_large"}, b"nginx")]
    assert [True, False] == [isinstance(each, TooLarge) and each.is_certain for each in said]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_travels_with_the_error(status: int) -> None:
    error = answers.error_of(an_answer(status, retry_after="7"), now_unix_s=0.0)
    assert isinstance(error, (Throttled, Unavailable))
    assert 7.0 == error.retry_after_s


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert seconds == answers.retry_after_s(value, now_unix_s=100.0)


def test_a_problem_document_is_told_in_one_line() -> None:
    problem = {"type": "about:blank", "status": 422, "code": "invalid", "detail": "ts is missing"}
    assert "HTTP 422: invalid: ts is missing" == answers.description(an_answer(422, problem))


def test_a_redirect_says_where_to_and_that_it_is_not_followed() -> None:
    answer = an_answer(308, b"", location="https://elsewhere.example/")
    assert "HTTP 308: redirects to https://elsewhere.example/, which is not followed" == answers.description(answer)


def test_a_server_cannot_write_lines_of_its_own_into_the_log() -> None:
    text = answers.description(an_answer(500, {"detail": "a\n2026-01-01T00:00:00Z info all is well\x1b[2J"}))
    assert text.isprintable()


def test_a_long_text_is_cut() -> None:
    assert 200 == len(answers.description(an_answer(500, {"detail": "x" * 10_000})))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff\xfe", b"null"])
def test_an_answer_that_is_no_json_object_is_described_by_its_status(body: bytes) -> None:
    assert "HTTP 502" == answers.description(an_answer(502, body))


ENROLLED = {"agent_id": "a_1", "secret": "hush", "server_id": "s_1", "workspace_id": "w_1"}


def test_an_enrolment_gives_all_that_a_credential_needs() -> None:
    assert ENROLLED == answers.enrolment(an_answer(201, {**ENROLLED, "more": 1}))


@pytest.mark.parametrize("key", sorted(ENROLLED))
@pytest.mark.parametrize("value", [None, "", 5])
def test_an_enrolment_that_lacks_a_part_is_none(key: str, value: object) -> None:
    with pytest.raises(Unavailable, match="not Muster's"):
        answers.enrolment(an_answer(201, {**ENROLLED, key: value}))


def test_a_handshake_gives_the_servers_wish() -> None:
    answer = an_answer(200, {"server_id": "s_1", "server_time": "2026-01-01T00:00:00Z", "interval_s": 10})
    assert Handshake("s_1", Terms(10.0)) == answers.handshake(answer)


@pytest.mark.parametrize("interval_s", [None, "5", True, 0, -1, 1e9, float("inf"), float("nan")])
def test_an_interval_that_cannot_be_kept_is_no_wish(interval_s: object) -> None:
    answer = an_answer(200, {"server_id": "s_1", "interval_s": interval_s})
    assert Handshake("s_1", Terms()) == answers.handshake(answer)


def test_a_handshake_by_somebody_else_is_none() -> None:
    with pytest.raises(Unavailable, match="not Muster's"):
        answers.handshake(an_answer(200, b"<html>Please log in to the wifi</html>"))


def test_rejections_name_their_samples() -> None:
    answer = an_answer(202, {"accepted": 1, "rejected": [{"index": 1, "code": "not_finite", "message": "cpu"}]})
    assert [Rejection(1, "not_finite", "cpu")] == answers.rejections(answer)


@pytest.mark.parametrize("body", [b"", {}, {"rejected": None}, {"rejected": [5, {"code": "x"}]}])
def test_a_receipt_without_rejections_rejects_nothing(body: object) -> None:
    assert [] == answers.rejections(an_answer(202, body))
