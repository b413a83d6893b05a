"""Records from a file: `POST /{resource}/import`. The whole file is checked before anything is written."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import TypeVar

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.response import Response

from services.api.bodies import MAX_REPORTED_FIELDS
from services.api.conditions import WriteTerms
from services.api.parameter_schemas import query_parameter
from services.api.parameters import read_parameters
from services.api.problems import BODY_PROBLEMS, WRITE_PROBLEMS
from services.api.records.answers import ACCEPTED, OK, described, preference_applied
from services.api.records.csv_form import read_csv
from services.api.records.exporting import MEDIA_TYPES, Format
from services.api.records.import_plan import Known, Mode, Outcome, Plan, Planner, checked, unique_values
from services.api.records.json_form import read_json
from services.api.records.representation import title
from services.api.records.rows import Row, RowFault
from services.api.records.writer import RecordWriter, Step, Written, id_made_by
from services.api.requests import ApiRequest, opt
from shared.errors import Malformed, MusterError, Rejected
from shared.io.changelog.read import LogReader
from shared.io.litestar_problems import documented
from shared.io.problem import FieldError, HttpError
from shared.names import Topic
from shared.resources import Resource
from shared.topic import Record

MAX_IMPORT_BYTES = 8_000_000
"""Less than what the proxy in front lets through."""
MAX_ROWS = 20_000
CHANGES_AT_ONCE = 1000
"""So many changes are one change set, all or nothing; a file that makes more is written in several."""

_SLICE = 1000
_READERS = {"csv": read_csv, "json": read_json}
_Item = TypeVar("_Item")


class ImportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be done with a file."""

    format: Format
    mode: Mode = "upsert"
    dry_run: bool = False


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a file changes, or would change; `errors` are all that keep it from being done.

    `change_sets` is how many were needed: of several, each is all or nothing by itself. `epoch` and `version` say where
    the topic stands after a real run.
    """

    dry_run: bool
    created: list[Outcome]
    updated: list[Outcome]
    unchanged: list[Outcome]
    errors: list[RowFault]
    change_sets: int
    epoch: str | None = None
    version: int | None = None


class Imports:
    """Plans imports and does them."""

    def __init__(self, reader: LogReader, writer: RecordWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def plan(self, resource: Resource, body: bytes, wanted: ImportQuery, terms: WriteTerms) -> Plan:
        """Say what a file would do now; raises Malformed when it is no text, and HttpError when it is too long."""
        # in a thread: a great file takes a second, in which others want to be answered
        rows, faults = await asyncio.to_thread(_read, resource, body, wanted.format)

        def new_id(row: int) -> str:
            return id_made_by(terms, resource, row)

        known = await self._known(resource, Topic(terms.workspace_id, resource.name), rows, map(new_id, _numbers(rows)))
        plan = await asyncio.to_thread(Planner(resource, known, wanted.mode, new_id).take_all, rows)
        plan.faults = sorted([*faults, *plan.faults], key=lambda fault: (fault.line, fault.row))
        return plan

    async def _known(self, resource: Resource, topic: Topic, rows: Sequence[Row], new_ids: Iterable[str]) -> Known:
        values = unique_values(resource, rows)
        holders: dict[tuple[str, str], str] = {}
        for field in resource.unique:
            for part in _parts([value for name, value in values if name == field], _SLICE):
                held = await self._reader.holders(topic, field, part)
                holders |= {(field, value): holder for value, holder in held.items()}
        ids = dict.fromkeys([*(row.id for row in rows if row.id is not None), *holders.values(), *new_ids])
        records: dict[str, Record] = {}
        for part in _parts(list(ids), _SLICE):
            records |= await self._reader.records(topic, part)
        return Known(records, holders)

    async def carry_out(self, resource: Resource, plan: Plan, terms: WriteTerms) -> Written:
        """Do what a plan without faults says. Raises what `RecordWriter.write` does, HttpError (409) in the middle."""
        parts = _parts(plan.steps, CHANGES_AT_ONCE) or [[]]
        for number, part in enumerate(parts):
            try:
                written = await self._writer.write(resource, [step for _, step in part], _terms_of(terms, number))
            except MusterError as error:
                if isinstance(error, Rejected) and part:
                    _locate(error, part)
                if number == 0:
                    raise
                done = f"{number * CHANGES_AT_ONCE} of {len(plan.steps)} changes were made, then: {error}"
                raise HttpError(409, "partly_imported", f"{done}; import the file again to make the rest") from error
        return written


def _read(resource: Resource, body: bytes, form: Format) -> tuple[list[Row], list[RowFault]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"the file is not UTF-8: {error}") from error
    found: list[Row | RowFault] = []
    for row in _READERS[form](resource, text):
        if row.row > MAX_ROWS:
            raise HttpError(413, "too_large", f"a file has at most {MAX_ROWS} records")
        found.append(row)
    return checked(resource, found, strict=form == "json")


def _numbers(rows: Iterable[Row]) -> list[int]:
    return [row.row for row in rows if row.id is None]


def _parts(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def _terms_of(terms: WriteTerms, number: int) -> WriteTerms:
    """Return the terms of one of several writes: each is an operation of its own."""
    operation_id = terms.operation_id
    if number > 0:
        operation_id = sha256(f"{operation_id}:{number}".encode()).hexdigest()
    return msgspec.structs.replace(terms, operation_id=operation_id, versions=None)


def _locate(error: Rejected, steps: Sequence[tuple[int, Step]]) -> None:
    line, _ = steps[error.index]
    error.field = f"line {line}" + (f": {error.field}" if error.field else "")


def import_route(resource: Resource) -> HTTPRouteHandler:
    """Make `POST /{resource}/import`."""

    @post(
        f"/{resource.name}/import",
        opt=opt("write", query=ImportQuery.__struct_fields__, writers=resource.writers),
        request_max_body_size=MAX_IMPORT_BYTES,
        status_code=OK,
        operation_id=f"import{title(resource.name)}",
        operation_class=_ImportOperation,
        summary=f"Create and change {resource.name} from a file",
        tags=[resource.name],
        responses={
            OK: described(ImportReport, "What the file would change, or has changed, committed"),
            ACCEPTED: described(ImportReport, "What it changes is in the log; it will be committed"),
            **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
        },
    )
    async def import_records(
        request: ApiRequest, terms: NamedDependency[WriteTerms], imports: NamedDependency[Imports]
    ) -> Response[ImportReport]:
        wanted = read_parameters(ImportQuery, request.query_params.multi_items())
        plan = await imports.plan(resource, await request.body(), wanted, terms)
        if wanted.dry_run:
            return Response(_report(plan, dry_run=True))
        if plan.faults:
            raise _refused(plan.faults)
        written = await imports.carry_out(resource, plan, terms)
        report = _report(plan, dry_run=False)
        report = msgspec.structs.replace(report, epoch=str(written.epoch), version=written.version)
        status = OK if written.committed else ACCEPTED
        return Response(report, status_code=status, headers=preference_applied(terms))

    return import_records


def _report(plan: Plan, *, dry_run: bool) -> ImportReport:
    return ImportReport(
        dry_run=dry_run,
        created=plan.created,
        updated=plan.updated,
        unchanged=plan.unchanged,
        errors=plan.faults,
        change_sets=len(_parts(plan.steps, CHANGES_AT_ONCE)),
    )


def _refused(faults: Sequence[RowFault]) -> HttpError:
    """Return the error of a file with faults, of which it names the first."""
    shown = [
        FieldError(f"line {fault.line}" + (f": {fault.field}" if fault.field else ""), fault.message)
        for fault in faults[:MAX_REPORTED_FIELDS]
    ]
    detail = f"nothing was imported, {len(faults)} faults were found: a dry run names them all"
    return HttpError(422, "invalid", detail, errors=shown)


@dataclass
class _ImportOperation(Operation):
    """An operation that takes a file in either form."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING, max_length=MAX_IMPORT_BYTES)
        self.parameters = [
            *(self.parameters or []),
            query_parameter("format", Format, required=True),
            query_parameter("mode", Mode, default="upsert"),
            query_parameter("dry_run", bool, default=False),
        ]
        record = Schema(type=OpenAPIType.OBJECT, description="A record, of the fields that lists show")
        records = Schema(type=OpenAPIType.ARRAY, items=record, max_items=MAX_ROWS)
        self.request_body = RequestBody(
            required=True,
            description=f"At most {MAX_IMPORT_BYTES} bytes and {MAX_ROWS} records; `format` says what it is",
            content={
                MEDIA_TYPES["csv"]: OpenAPIMediaType(schema=text),
                MEDIA_TYPES["json"]: OpenAPIMediaType(schema=records),
            },
        )
