"""Messages as server-sent events: which fields they have, and that no data can pass for a field."""

from __future__ import annotations

import pytest

from services.broadcaster.event_stream import Answer, events_of, read_answer


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        (b'{"op":"changes","epoch":"3","version":44}', b"id: 3-44\n"),
        (b'{"op":"subscribed","epoch":"3","version":41}', b"id: 3-41\n"),
        (b'{"op":"snapshot","epoch":"3","version":44,"part":2,"parts":2}', b"id: 3-44\n"),
        (b'{"op":"snapshot","epoch":"3","version":44,"part":1,"parts":2}', b""),
        (b'{"op":"bookmark","epoch":"3","version":44}', b""),
        (b'{"op":"error","code":"unavailable","message":"later"}', b""),
    ],
)
def test_only_what_can_be_resumed_from_has_an_id(payload: bytes, place: bytes) -> None:
    op = payload.split(b'"')[3]
    assert b"event: " + op + b"\n" + place + b"data: " + payload + b"\n\n" == events_of([payload])


def test_several_messages_are_several_events() -> None:
    payloads = [b'{"op":"sync","epoch":"3","version":%d}' % version for version in (1, 2)]
    assert events_of(payloads[:1]) + events_of(payloads[1:]) == events_of(payloads)


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
def test_a_line_break_of_a_producer_does_not_end_the_data(line_break: bytes) -> None:
    event = events_of([b'{"op":"changes","epoch":"3","version":1,"data":{%s"event":1}}' % line_break])
    lines = event.decode().splitlines()
    assert ["event: changes", "id: 3-1", ""] == [lines[0], lines[1], lines[3]]
    assert 4 == len(lines)


def test_an_answer_says_why_there_is_no_stream() -> None:
    refusal = b'{"op":"error","code":"too_many","message":"enough","retry_after_ms":5000}'
    assert Answer("error", "too_many", "enough", 5_000) == read_answer(events_of([refusal]))
    assert Answer("snapshot") == read_answer(events_of([b'{"op":"snapshot","epoch":"3","version":1}']))
