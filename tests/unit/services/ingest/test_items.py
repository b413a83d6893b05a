"""Samples that came together: told apart, and never more of them than are taken."""

import tracemalloc

import msgspec
import pytest

from services.ingest.items import MAX_LINES, MAX_SAMPLES, TooManySamples, items_of, lines_of


def test_items_of_an_array_stay_as_they_are() -> None:
    found = items_of(b' [1, {"a": [1,2]} ,"x", null, [] ] ')
    assert [b"1", b'{"a": [1,2]}', b'"x"', b"null", b"[]"] == [bytes(item) for item in found]
    assert [] == items_of(b"[]")


@pytest.mark.parametrize("body", [b"[1", b"[1,]", b"[,]", b"[1]]", b"{}", b"", b'["\xff]'])
def test_what_is_no_array_is_told_so(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        items_of(body)


def test_more_items_than_are_taken_are_refused() -> None:
    assert MAX_SAMPLES == len(items_of(b"[" + b"{}," * (MAX_SAMPLES - 1) + b"{}]"))
    with pytest.raises(TooManySamples):
        items_of(b"[" + b"{}," * MAX_SAMPLES + b"{}]")


def test_items_beyond_those_that_are_taken_cost_no_memory() -> None:
    body = b"[" + b"0," * 500_000 + b"0]"
    tracemalloc.start()
    try:
        with pytest.raises(TooManySamples):
            items_of(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_lines_are_told_apart_and_empty_ones_do_not_count() -> None:
    found = lines_of(b'{"a":1}\r\n\n  \n\t{"b":2} \nno json')
    assert [b'{"a":1}', b'{"b":2}', b"no json"] == [bytes(line) for line in found]
    assert [] == lines_of(b"\n")


def test_more_lines_than_are_taken_are_refused() -> None:
    assert MAX_SAMPLES == len(lines_of(b"{}\n" * MAX_SAMPLES))
    for body in (b"{}\n" * (MAX_SAMPLES + 1), b"\n" * (MAX_LINES + 1)):
        with pytest.raises(TooManySamples):
            lines_of(body)
