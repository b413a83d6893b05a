"""A wrong value is named by its path and in words for people; 5.0 is the integer 5."""

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from shared.validation import convert, decode, fault_in, form, in_words, is_deeper_than, with_integers, words_of

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
