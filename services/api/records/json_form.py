"""Records as a JSON array of objects, one a line when we write it. Pure."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from services.api.records.rows import Row, RowFault, row_of, unknown_fields
from shared.resources import Resource

_SPACE = " \t\r\n"


class _NoArray(Exception):
    """The file is no JSON array from here on."""


def read_json(resource: Resource, text: str) -> Iterator[Row | RowFault]:
    """Yield the elements of the array in a file, with the lines at which they begin, and what is wrong in it."""
    line, row, seen = 1, 0, 0
    try:
        for row, (begin, end) in enumerate(_elements(text), 1):
            line += text.count("\n", seen, begin)
            seen = begin
            yield from _read(resource, line, row, text[begin:end])
    except _NoArray as error:
        yield RowFault(line, row, "", str(error))


def _read(resource: Resource, line: int, row: int, text: str) -> Iterator[Row | RowFault]:
    try:
        given = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError:
        yield RowFault(line, row, "", "it is no JSON object")
    except (msgspec.DecodeError, UnicodeError) as error:
        yield RowFault(line, row, "", f"it is no JSON that is taken here: {error}")
    else:
        faults = unknown_fields(resource, line, row, given)
        yield from faults
        if not faults:
            yield row_of(resource, line, row, given)


def _elements(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each element of the array begins and ends; raises _NoArray."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = _after_space(text, 0)
    _require(text, at, "[", "the file must be a JSON array of objects")
    at = _after_space(text, at + 1)
    if text.startswith("]", at):
        at += 1
    else:
        while True:
            begin = at
            try:
                _, at = decoder.raw_decode(text, begin)
            except (ValueError, RecursionError) as error:
                raise _NoArray(f"the JSON after this line cannot be read: {error}") from error
            yield begin, at
            at = _after_space(text, at)
            if text.startswith("]", at):
                at += 1
                break
            _require(text, at, ",", "there must be a comma or the end of the array after this")
            at = _after_space(text, at + 1)
    if _after_space(text, at) != len(text):
        raise _NoArray("there is something after the end of the array")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _require(text: str, at: int, token: str, message: str) -> None:
    if not text.startswith(token, at):
        raise _NoArray(message)
