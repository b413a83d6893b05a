"""Records as CSV (RFC 4180) in UTF-8. Pure.

A cell is text as it stands, or JSON for everything else; a list may be written with `;` between its values, too. An
empty cell is a field's default. Text that a spreadsheet would take for a formula gets an apostrophe in front, which is
taken off again when the file comes back.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from services.api.records.rows import Row, RowFault, columns, list_fields, row_of, unknown_fields
from shared.resources import Resource

# https://owasp.org/www-community/attacks/CSV_Injection, and the full-width forms, which some programs take for these;
# apostrophes before it, so that none is taken off that was there
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_LONGEST_CELL = 1_000_000


def csv_header(resource: Resource) -> bytes:
    """Return the first line of a file."""
    return _line(columns(resource))


def csv_row(resource: Resource, record: Mapping[str, Any]) -> bytes:
    """Return the line of a record as the api shows it."""
    return _line([_cell(record[name]) for name in columns(resource)])


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    return msgspec.json.encode(value).decode()


def read_csv(resource: Resource, text: str) -> Iterator[Row | RowFault]:
    """Yield the rows of a file, and what is wrong in it; a header that is wrong is all that is said of it."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lists = list_fields(resource)
    names: list[str] | None = None
    next_line, row = 1, 0
    try:
        for cells in reader:
            line, next_line = next_line, reader.line_num + 1
            if not cells:
                continue
            if names is None:
                names = [name.strip() for name in cells]
                faults = unknown_fields(resource, line, row, names) + _repeated(line, names)
                yield from faults
                if faults:
                    return
                continue
            row += 1
            if len(cells) == len(names):
                yield _row(resource, line, row, dict(zip(names, cells, strict=True)), lists)
            else:
                yield RowFault(line, row, "", f"it has {len(cells)} cells, the header has {len(names)}")
    except csv.Error as error:
        yield RowFault(next_line, row + 1, "", str(error))
    if names is None:
        yield RowFault(1, 0, "", "the file has no header")


def _repeated(line: int, names: list[str]) -> list[RowFault]:
    return [RowFault(line, 0, name, "the header has it twice") for name in sorted(set(names)) if names.count(name) > 1]


def _row(resource: Resource, line: int, row: int, cells: dict[str, str], lists: frozenset[str]) -> Row | RowFault:
    given: dict[str, Any] = {}
    for name, cell in cells.items():
        text = cell[1:] if _GUARDED.match(cell) else cell
        if text == "":
            given[name] = None
        elif name not in lists:
            given[name] = text
        elif text.startswith("["):
            try:
                given[name] = msgspec.json.decode(text, type=list[str])
            except msgspec.DecodeError:
                return RowFault(line, row, name, "it begins like a JSON array of texts, and is none")
        else:
            given[name] = [value.strip() for value in text.split(";") if value.strip()]
    return row_of(resource, line, row, given)
