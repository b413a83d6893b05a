"""A wrong value is named by its path and in words for people; 5.0 is the integer 5."""

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from shared.validation import (
    LOOKED_INTO_BYTES,
    convert,
    decode,
    fault_in,
    form,
    in_words,
    is_deeper_than,
    require_json,
    with_integers,
    words_of,
)
from tests.support.work import work_of

Word = Annotated[str, Meta(max_length=9), form(r"^[a-z]'*$(?!\n)", "a small letter")]


class Inner(msgspec.Struct):
    word: Word = "a"


class Body(msgspec.Struct):
    count: int = 0
    share: float = 0.0
    words: tuple[Word, ...] = ()
    named: dict[Word, int] = {}
    inner: Inner = msgspec.field(default_factory=Inner)


def fault(body: bytes) -> tuple[str, str]:
    with pytest.raises(msgspec.ValidationError) as error:
        decode(body, Body)
    return fault_in(error.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"inner": {"word": "A"}}', ("inner.word", "Expected a small letter")),
        (b'{"words": ["a", "B"]}', ("words[1]", "Expected a small letter")),
        (b'{"named": {"A": 1}}', ("named", "a key: Expected a small letter")),
        (b'{"inner": {"word": 5}}', ("inner.word", "Expected `str`, got `int`")),
        (b"[]", ("", "Expected `object`, got `array`")),
    ],
)
def test_a_fault_is_named_by_its_path_and_in_words(body: bytes, expected: tuple[str, str]) -> None:
    assert expected == fault(body)


def test_a_form_that_was_not_declared_shows_no_expression() -> None:
    assert "Expected a text of another form" == in_words("Expected `str` matching regex '^x$'")


def test_a_form_has_one_wording() -> None:
    assert "a small letter" == words_of(r"^[a-z]'*$(?!\n)")
    with pytest.raises(ValueError, match="other words"):
        form(r"^[a-z]'*$(?!\n)", "anything else")


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    assert Body(count=5, share=2.0) == decode(b'{"count": 5.0, "share": 2.0}', Body)
    assert Body(count=-500) == decode(b'{"count": -5e2}', Body)


@pytest.mark.parametrize("number", [b"5.5", b"1e300", b'"5"', b"9007199254740994.0"])
def test_what_is_no_exact_integer_is_refused(number: bytes) -> None:
    assert "count" == fault(b'{"count": ' + number + b"}")[0]


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    count: int = 0


class Renamed(msgspec.Struct, rename={"count": "how many"}):
    count: int = 0


def test_fields_that_are_not_known_are_passed_by_or_refused_as_before() -> None:
    assert Body(count=5) == decode(b'{"x": [1.5, "\\u0000"], "count": 5.0, "y": {}}', Body)
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"count": 5.0, "x": 1}', Closed)
    assert Renamed(5) == decode(b'{"how many": 5.0}', Renamed)
    assert [1, 2] == decode(b"[1, 2.0]", list[int])


@pytest.mark.parametrize("junk", [b"1,", b"1.5,", b"[],", b'{"a":1},', b'"a",'])
@pytest.mark.parametrize("fault", [b'"words":5', b'"count":1.5', b'"inner":{"word":1.5}'])
def test_what_somebody_made_up_is_not_walked_through(fault: bytes, junk: bytes) -> None:
    body = b"{" + fault + b',"x":[' + (1_000_000 // len(junk)) * junk + b"5]}"
    work = work_of(lambda: decode(body, Body), msgspec.ValidationError)
    assert work.calls < 100
    assert work.peak_bytes < 100_000


def test_only_a_small_text_is_looked_into_for_what_is_no_json() -> None:
    for bad in (b'{"a": "\xff"}', b'{"a": 1', b"[" * 100_000, b'{"a": "\\ud800"}'):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
            require_json(bad)
    large = b"[" + b"[]," * LOOKED_INTO_BYTES + b"5]"
    assert work_of(lambda: require_json(msgspec.Raw(large))).peak_bytes < 2 * len(large)
    with pytest.raises(msgspec.DecodeError):
        require_json(large[:-1])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_json)
def test_no_number_changes_its_value(value: object) -> None:
    assert value == with_integers(value)


def test_a_value_is_converted_likewise_and_keeps_what_its_type_takes_as_it_is() -> None:
    assert Body(count=5) == convert({"count": 5.0}, Body)
    assert "-0.0" == str(convert({"share": -0.0}, Body).share)


@pytest.mark.parametrize(("value", "depth"), [(5, 0), ([], 1), ({"a": 1}, 1), ([1, {"a": [2]}], 3), ([[], [[]]], 3)])
def test_depth_counts_what_is_nested(value: object, depth: int) -> None:
    assert not is_deeper_than(value, depth)
    assert depth == 0 or is_deeper_than(value, depth - 1)
