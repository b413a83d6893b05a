"""What a file of records says, row by row, whatever its form: fields by name, or what is wrong with a row. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from services.api.records.listing import is_list
from shared.resources import Resource

KEY = "id"
READ_ONLY = "version"
"""Shown beside the fields of a record, and not looked at when it comes back."""

_LONGEST_SHOWN = 100


class RowFault(msgspec.Struct, frozen=True):
    """What is wrong with a row; `field` is empty where it is all of it. See `Row` for where that is."""

    line: int
    row: int
    field: str
    message: str


class Row(msgspec.Struct, frozen=True):
    """The fields that a row sets, as its file says them, by name; None wants a field's default.

    `line` is where the row begins in the file, `row` which of the records it is, both counted from 1. `id` is None
    where the row names no record.
    """

    line: int
    row: int
    id: str | None
    fields: dict[str, Any]


def columns(resource: Resource) -> tuple[str, ...]:
    """Return the names of all that is shown of a record."""
    return (KEY, READ_ONLY, *resource.columns)


def list_fields(resource: Resource) -> frozenset[str]:
    """Return the editable fields that hold several values."""
    return frozenset(name for name in resource.editable if is_list(resource, name))


def unknown_fields(resource: Resource, line: int, row: int, names: Iterable[str]) -> list[RowFault]:
    """Return a fault for each name that no record of the resource has a field for."""
    known = set(columns(resource))
    return [RowFault(line, row, name[:_LONGEST_SHOWN], "there is no such field") for name in names if name not in known]


def row_of(resource: Resource, line: int, row: int, given: dict[str, Any]) -> Row:
    """Return a row of these fields; those that people cannot write are left out."""
    fields = {name: value for name, value in given.items() if name in resource.editable}
    return Row(line, row, given.get(KEY), fields)
