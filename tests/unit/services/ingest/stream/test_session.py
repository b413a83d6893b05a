"""What the messages of a stream, and the time, lead to."""

import pytest

from services.ingest.stream.messages import Goodbye, Introduction, Metrics, Report
from services.ingest.stream.session import (
    HANDSHAKE_AT_LAST_S,
    HANDSHAKE_WITHIN_S,
    HEARTBEAT_S,
    MAX_REFUSALS,
    CloseCode,
    Ending,
    Session,
)
from shared.errors import NotFound, RetryLater
from shared.io.problem import HttpError

NOW = 100.0
HANDSHAKE = '{"op":"handshake","seq":1,"boot_id":"b"}'
TOO_MUCH = HttpError(429, "too_many_requests", "too much", retry_after_s=2.5)


def introduced(interval_s: float = 5.0) -> Session:
    session = Session(NOW)
    assert isinstance(session.receive(HANDSHAKE, NOW), Introduction)
    session.introduced(interval_s, NOW)
    return session


def status(seq: int) -> str:
    return f'{{"op":"status","seq":{seq}}}'


def code_of(outcome: object) -> CloseCode:
    assert isinstance(outcome, Ending)
    return outcome.code


def test_messages_are_given_on_in_their_order() -> None:
    session = introduced()
    sample = '{"ts":"2026-01-02T03:04:05Z","cpu_percent":1}'
    said = [
        f'{{"op":"metrics","seq":2,"samples":[{sample}]}}',
        status(3),
        '{"seq":4,"new":[1],"op":"goodbye"}',
    ]
    assert [Metrics, Report, Goodbye] == [type(session.receive(text, NOW)) for text in said]


@pytest.mark.parametrize("seq", [-1, 0, 1, 3, 2**70])
def test_numbers_that_do_not_count_on_end_it(seq: int) -> None:
    assert CloseCode.MALFORMED == code_of(introduced().receive(status(seq), NOW))


def test_message_of_the_same_number_again_ends_it() -> None:
    session = introduced()
    assert isinstance(session.receive(status(2), NOW), Report)
    assert CloseCode.MALFORMED == code_of(session.receive(status(2), NOW))


def test_first_message_is_a_handshake() -> None:
    assert CloseCode.MALFORMED == code_of(Session(NOW).receive(status(1), NOW))


def test_what_follows_a_handshake_that_was_not_taken_is_left_to_the_caller() -> None:
    session = Session(NOW)
    session.receive(HANDSHAKE, NOW)
    assert isinstance(session.receive(status(2), NOW), Report)
    assert not session.is_introduced


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"op":1,"seq":1}', '{"op":"status"}', "[" * 100_000])
def test_what_is_no_message_ends_it(text: str) -> None:
    assert CloseCode.MALFORMED == code_of(Session(NOW).receive(text, NOW))


def test_binary_messages_end_it() -> None:
    assert CloseCode.MALFORMED == code_of(Session(NOW).receive(HANDSHAKE.encode(), NOW))


def test_handshake_must_come_soon_and_nothing_else_gives_it_time() -> None:
    session = Session(NOW)
    session.receive(HANDSHAKE, NOW + HANDSHAKE_WITHIN_S - 1)
    session.receive(status(2), NOW + HANDSHAKE_WITHIN_S - 1)
    assert session.expired(NOW + HANDSHAKE_WITHIN_S - 0.1) is None
    assert CloseCode.SILENT == code_of(session.expired(NOW + HANDSHAKE_WITHIN_S))


@pytest.mark.parametrize(("interval_s", "patience_s"), [(1, 2 * HEARTBEAT_S), (15, 30), (20, 40)])
def test_silence_of_two_intervals_or_heartbeats_ends_it(interval_s: float, patience_s: float) -> None:
    session = introduced(interval_s)
    session.receive(status(2), NOW + 7)
    assert session.expired(NOW + 7 + patience_s - 0.1) is None
    assert CloseCode.SILENT == code_of(session.expired(NOW + 7 + patience_s))


def test_refusals_in_a_row_end_it_and_say_when_to_come_again() -> None:
    session = introduced()
    assert [None] * (MAX_REFUSALS - 1) == [session.refused(TOO_MUCH) for _ in range(MAX_REFUSALS - 1)]
    assert Ending(CloseCode.TOO_MUCH, '{"retry_after_s":2.5}') == session.refused(TOO_MUCH)


def test_messages_that_can_never_be_taken_end_it_as_malformed() -> None:
    session = introduced()
    endings = [session.refused(NotFound("no")) for _ in range(MAX_REFUSALS)]
    assert CloseCode.MALFORMED == code_of(endings[-1])


def test_message_that_was_taken_starts_the_count_anew() -> None:
    session = introduced()
    for _ in range(3):
        assert [None] * (MAX_REFUSALS - 1) == [session.refused(TOO_MUCH) for _ in range(MAX_REFUSALS - 1)]
        session.taken()


def test_our_own_faults_do_not_count() -> None:
    session = introduced()
    assert {None} == {session.refused(RetryLater("away")) for _ in range(10 * MAX_REFUSALS)}


def test_handshake_that_is_put_off_has_as_much_more_time() -> None:
    session = Session(0.0)
    session.put_off(5.0, 2.0)
    assert session.expired(2.0 + 5.0 + HANDSHAKE_WITHIN_S - 0.1) is None
    assert CloseCode.SILENT == code_of(session.expired(2.0 + 5.0 + HANDSHAKE_WITHIN_S))


def test_handshake_is_not_put_off_without_end() -> None:
    session = Session(NOW)
    for passed_s in range(int(HANDSHAKE_AT_LAST_S)):
        session.put_off(8.0, NOW + passed_s)
        assert session.expired(NOW + passed_s + 0.9) is None
    assert CloseCode.SILENT == code_of(session.expired(NOW + HANDSHAKE_AT_LAST_S))
