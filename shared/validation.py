"""What is wrong with a value, in words for people; and integers, however JSON writes them. Pure.

msgspec checks the values; of a text that is not of the form that its type wants it knows a regular expression only.
Each such form is declared by `form`, with words for it, which stand in the place of the expression.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Meta

_MOST_EXACT = 2**53
_LOCATED = re.compile(r"(?s)(.*) - at (`key` in )?`\$\.?(.*?)`")
_NAMED = re.compile(r"field `(.*)`")
_EXPRESSION = re.compile(r"(?s)`str` matching regex (.*)")
_FRACTION = re.compile(r"Expected `[^`]*\bint\b[^`]*`, got `float`")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a body; text that is not UTF-8 and too deep a nesting have errors of their own."""

LOOKED_INTO_BYTES = 65_536
"""A body is decoded in full, to find all that is wrong with it, only up to this size."""

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

    What is looked at a second time for that is no more than the fields that the type has, and only where a number
    is at fault: nobody can have us walk through what they made up.
    Raises what msgspec.json.decode does: msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError and
    RecursionError.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        if not _may_be_whole(error):
            raise
        try:
            given = _declared(body, kind)
        except UNREADABLE:
            raise error from None
        return msgspec.convert(given, kind)


def convert(value: object, kind: type[_Kind], *, strict: bool = True) -> _Kind:
    """Return a JSON value as this type, likewise; without `strict` also from texts. Raises msgspec.ValidationError."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        if not _may_be_whole(error):
            raise
        return msgspec.convert(with_integers(value), kind, strict=strict)


def require_json(body: bytes | str | msgspec.Raw) -> None:
    """Raise one of UNREADABLE for what is no JSON, at a cost that does not depend on what it says.

    Texts inside of what is longer than `LOOKED_INTO_BYTES` may be more than UTF-8 and JSON allow.
    """
    given = bytes(body) if isinstance(body, msgspec.Raw) else body
    msgspec.json.decode(given, type=Any if len(given) <= LOOKED_INTO_BYTES else msgspec.Raw)


def _may_be_whole(error: msgspec.ValidationError) -> bool:
    """Whether a number that is written with a fraction or an exponent stands where an integer may."""
    return _FRACTION.match(str(error)) is not None


def _declared(body: bytes | str | msgspec.Raw, kind: type) -> object:
    """Return the fields that a type has, with whole numbers as integers; all there is for what is no plain struct."""
    decoder = _fields_decoder(kind)
    if decoder is None:
        return with_integers(msgspec.json.decode(body))
    given = msgspec.structs.asdict(decoder.decode(body))
    return {name: with_integers(msgspec.json.decode(raw)) for name, raw in given.items() if raw is not msgspec.UNSET}


@cache
def _fields_decoder(kind: type) -> "msgspec.json.Decoder[Any] | None":
    """Return what tells the fields of a struct apart, as they are, and reads over all others."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)) or kind.__struct_config__.tag_field:
        return None
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    if not all(map(str.isidentifier, names)):
        return None
    raw = msgspec.defstruct(
        f"_FieldsOf{kind.__name__}",
        [(name, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for name in names],
        forbid_unknown_fields=kind.__struct_config__.forbid_unknown_fields,
    )
    return msgspec.json.Decoder(raw)


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
