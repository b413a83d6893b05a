"""What an import would do: rows of a file held against the records that there are. Pure.

Rows are taken in their order, and unique values are given up and claimed as the append script does it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from services.api.bodies import as_field_error
from services.api.records.merge import made, patched
from services.api.records.representation import draft_type
from services.api.records.rows import Row, RowFault
from services.api.records.writer import Change, Creation, Step
from shared.io.problem import HttpError
from shared.names import is_id
from shared.resources import Resource
from shared.topic import Record
from shared.validation import convert

Mode = Literal["upsert", "create"]
"""`create` wants that no record of the file exists; `upsert` changes those that do."""

Unique = tuple[str, str]
"""A unique field and a value of it."""


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of the record of a row; `fields` are those that change."""

    line: int
    row: int
    id: str
    fields: tuple[str, ...] = ()


class Plan(msgspec.Struct):
    """All that an import would do, in the order of the file, and what keeps it from that; `steps` have their lines."""

    created: list[Outcome] = msgspec.field(default_factory=list)
    updated: list[Outcome] = msgspec.field(default_factory=list)
    unchanged: list[Outcome] = msgspec.field(default_factory=list)
    faults: list[RowFault] = msgspec.field(default_factory=list)
    steps: list[tuple[int, Step]] = msgspec.field(default_factory=list)


class Known(msgspec.Struct, frozen=True):
    """What there is: records by id, and who holds which unique value, as far as the rows ask for it."""

    records: Mapping[str, Record]
    holders: Mapping[Unique, str]


def checked(resource: Resource, rows: Iterable[Row | RowFault], *, strict: bool) -> tuple[list[Row], list[RowFault]]:
    """Return the rows with values of the types of their fields, and all that is wrong with the others.

    Without `strict`, numbers and the like may be written as text.
    """
    kinds = {field.name: field.type for field in msgspec.structs.fields(resource.model)}
    good: list[Row] = []
    faults: list[RowFault] = []
    for row in rows:
        if isinstance(row, RowFault):
            faults.append(row)
            continue
        values, wrong = _converted(row, kinds, strict=strict)
        if wrong:
            faults += wrong
        else:
            good.append(msgspec.structs.replace(row, fields=values))
    return good, faults


def _converted(row: Row, kinds: Mapping[str, Any], *, strict: bool) -> tuple[dict[str, Any], list[RowFault]]:
    values: dict[str, Any] = {}
    faults: list[RowFault] = []
    if row.id is not None and not (isinstance(row.id, str) and is_id(row.id)):
        faults.append(RowFault(row.line, row.row, "id", "an id is 1 to 64 letters, digits, _ and -"))
    for name, value in row.fields.items():
        try:
            values[name] = None if value is None else convert(value, kinds[name], strict=strict)
        except msgspec.ValidationError as error:
            fault = as_field_error(error, name)
            faults.append(RowFault(row.line, row.row, fault.field, fault.message))
    return values, faults


def unique_values(resource: Resource, rows: Iterable[Row]) -> list[Unique]:
    """Return the unique values that rows name."""
    named = ((field, row.fields.get(field)) for row in rows for field in resource.unique)
    return list(dict.fromkeys((field, str(value)) for field, value in named if value))


class Planner:
    """Takes rows, one by one; `new_id` makes the id of the record of a row that names none, by `row`."""

    def __init__(self, resource: Resource, known: Known, mode: Mode, new_id: Callable[[int], str]) -> None:
        self._resource = resource
        self._records = known.records
        self._holders = dict(known.holders)
        self._mode = mode
        self._new_id = new_id
        self._line_of: dict[str, int] = {}
        self.plan = Plan()

    def take_all(self, rows: Sequence[Row]) -> Plan:
        """Take these rows and return the plan."""
        for row in rows:
            try:
                self._take(row, self._new_id(row.row))
            except HttpError as error:  # of the edit
                self.plan.faults += (RowFault(row.line, row.row, each.field, each.message) for each in error.errors)
        return self.plan

    def _take(self, row: Row, made_id: str) -> None:
        record_id = row.id or self._holder(row) or made_id
        if record_id in self._line_of:
            self._refuse(row, "id", f"line {self._line_of[record_id]} is about this record, too")
            return
        self._line_of[record_id] = row.line
        stored = self._records.get(record_id)
        if stored is None:
            self._create(row, record_id)
        elif self._mode == "upsert" or record_id == made_id:  # an earlier attempt of the same request made the latter
            self._update(row, stored)
        else:
            self._refuse(row, "id", "this record exists")

    def _holder(self, row: Row) -> str | None:
        """Return the record that has a unique value of the row."""
        for field in self._resource.unique:
            if value := row.fields.get(field):
                return self._holders.get((field, str(value)))
        return None

    def _create(self, row: Row, record_id: str) -> None:
        given = {name: value for name, value in row.fields.items() if value is not None}
        required = [f.name for f in msgspec.structs.fields(self._resource.model) if f.required]
        missing = [name for name in required if name not in given]
        for name in missing:
            self._refuse(row, name, "this field is required")
        if missing:
            return
        data = made(self._resource, msgspec.convert(given, draft_type(self._resource)))
        if self._claim(row, record_id, data, None):
            self.plan.created.append(Outcome(row.line, row.row, record_id, tuple(given)))
            self.plan.steps.append((row.line, Creation(record_id, data)))

    def _update(self, row: Row, stored: Record) -> None:
        resource, patch = self._resource, row.fields
        data = patched(resource, stored.data, patch)
        if data is None:
            self.plan.unchanged.append(Outcome(row.line, row.row, stored.id))
        elif self._claim(row, stored.id, data, stored.data):
            self.plan.updated.append(Outcome(row.line, row.row, stored.id, _changed(resource, stored.data, data)))
            self.plan.steps.append((row.line, Change(stored.id, lambda r: patched(resource, r.data, patch))))

    def _claim(self, row: Row, record_id: str, data: bytes, before: bytes | None) -> bool:
        """Move the unique values of a record to its new ones; False when another record has one."""
        if not self._resource.unique:
            return True
        after, old = msgspec.json.decode(data), msgspec.json.decode(before) if before else {}
        for field in self._resource.unique:
            if after[field] and self._holders.get((field, str(after[field])), record_id) != record_id:
                self._refuse(row, field, "another record has this value")
                return False
        for field in self._resource.unique:
            if before:
                self._holders.pop((field, str(old[field])), None)
            if after[field]:
                self._holders[field, str(after[field])] = record_id
        return True

    def _refuse(self, row: Row, field: str, message: str) -> None:
        self.plan.faults.append(RowFault(row.line, row.row, field, message))


def _changed(resource: Resource, before: bytes, after: bytes) -> tuple[str, ...]:
    """Return the names of the fields in which two versions of a record differ."""
    old, new = (msgspec.json.decode(data, type=resource.model) for data in (before, after))
    return tuple(name for name in resource.columns if getattr(old, name) != getattr(new, name))
