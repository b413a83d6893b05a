"""What is wrong with a value, in words for people; and integers, however JSON writes them. Pure.

msgspec checks the values; of a text that is not of the form that its type wants it knows a regular expression only.
Each such form is declared by `form`, with words for it, which stand in the place of the expression.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Meta

_MOST_EXACT = 2**53
_LOCATED = re.compile(r"(?s)(.*) - at (`key` in )?`\$\.?(.*?)`")
_NAMED = re.compile(r"field `(.*)`")
_EXPRESSION = re.compile(r"(?s)`str` matching regex (.*)")

_words: dict[str, str] = {}
_Kind = TypeVar("_Kind")


def form(pattern: str, words: str, **more: Any) -> Meta:  # noqa: ANN401  (whatever else a Meta takes)
    """Return what makes a text have this form; `words` go on after “expected”, such as “a date”.

    Raises ValueError when the same form was declared with other words.
    """
    if _words.setdefault(repr(pattern), words) != words:
        raise ValueError(f"{pattern} has other words already: {_words[repr(pattern)]}")
    return Meta(pattern=pattern, **more)


def words_of(pattern: str) -> str | None:
    """Return the words that a form was declared with, None for one that was not declared."""
    return _words.get(repr(pattern))


def fault_in(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the path of the wrong value, empty for the whole, and what is wrong with it."""
    text = str(error)
    if located := _LOCATED.fullmatch(text):
        return located[3], ("a key: " if located[2] else "") + in_words(located[1])
    named = _NAMED.search(text)
    return (named[1] if named else ""), in_words(text)


def in_words(message: str) -> str:
    """Return what msgspec says without a path, with the words for a form instead of its regular expression."""
    if not (found := _EXPRESSION.search(message)):
        return message
    return message[: found.start()] + _words.get(found[1], "a text of another form")


def decode(body: bytes | str | msgspec.Raw, kind: type[_Kind]) -> _Kind:
    """Decode strict JSON as this type, in which `5.0` is the integer that JSON Schema takes it for.

    Raises what msgspec.json.decode does: msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError and
    RecursionError.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        try:
            given = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise error from None
        return msgspec.convert(with_integers(given), kind)


def convert(value: object, kind: type[_Kind], *, strict: bool = True) -> _Kind:
    """Return a JSON value as this type, likewise; without `strict` also from texts. Raises msgspec.ValidationError."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError:
        return msgspec.convert(with_integers(value), kind, strict=strict)


def with_integers(value: object) -> Any:  # noqa: ANN401  (JSON is what it is)
    """Return a JSON value in which whole numbers are integers, as far as JSON's numbers are exact."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _MOST_EXACT:
        return int(value)
    if isinstance(value, list):
        return [with_integers(each) for each in value]
    if isinstance(value, Mapping):
        return {name: with_integers(each) for name, each in value.items()}
    return value


def is_deeper_than(value: object, most: int) -> bool:
    """Whether arrays and objects of a JSON value are nested in each other more often than this."""
    level = [value]
    for _ in range(most + 1):
        containers = [each for each in level if isinstance(each, (list, dict))]
        if not containers:
            return False
        level = [inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)]
    return True
