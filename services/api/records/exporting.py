"""All records of a list as a file, at one version: `GET /{resource}/export`."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO, Literal

import asyncpg
import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.response import Stream

from services.api.parameter_schemas import query_parameter, selection_parameters
from services.api.parameters import read_parameters
from services.api.permissions import Caller
from services.api.problems import WORKSPACE_PROBLEMS
from services.api.records.answers import OK
from services.api.records.csv_form import csv_header, csv_row
from services.api.records.cursor import Cursor
from services.api.records.listing import MAX_LIMIT, ListQuery, page_statement, parameter_names, read_query
from services.api.records.representation import record_type, represent, title
from services.api.requests import ApiRequest, opt
from shared.io.database.queries import queries
from shared.io.database.records import read_records
from shared.io.litestar_problems import documented
from shared.names import PARTITIONS, Topic, partition_of
from shared.resources import Resource
from shared.topic import Record

Format = Literal["csv", "json"]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv", "json": "application/json"}

_IN_MEMORY_BYTES = 1_000_000
_CHUNK_BYTES = 65_536
_AS_MANY = "All records of the list, however many: the file is streamed and has no bound"


class _Wanted(msgspec.Struct, frozen=True):
    format: Format


class Exports:
    """Writes lists into files."""

    def __init__(self, pool: asyncpg.Pool, *, partitions: int = PARTITIONS) -> None:
        self._pool = pool
        self._partitions = partitions

    async def write(
        self, resource: Resource, workspace_id: str, query: ListQuery, form: Format, file: IO[bytes]
    ) -> str:
        """Write all records of a list, as they were at one moment; return the position, `<epoch>-<version>`."""
        topic = Topic(workspace_id, resource.name)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head = await queries("records").topic_head(
                connection,
                workspace_id=workspace_id,
                resource=resource.name,
                partition=partition_of(workspace_id, self._partitions),
            )
            file.write(csv_header(resource) if form == "csv" else b"[")
            is_first = True
            async for records in _pages(connection, resource, topic, query):
                for record in records:
                    file.write(_encoded(resource, record, form, is_first=is_first))
                    is_first = False
            if form == "json":
                file.write(b"\n]\n")
        return f"{head['epoch']}-{head['version']}"


async def _pages(
    connection: asyncpg.Connection, resource: Resource, topic: Topic, query: ListQuery
) -> AsyncIterator[list[Record]]:
    query = msgspec.structs.replace(query, limit=MAX_LIMIT, after=None)
    while True:
        statement = page_statement(resource, topic.workspace_id, query)
        rows = (await connection.fetch(statement.sql, *statement.arguments))[: query.limit]
        found = {record.id: record for record in await read_records(connection, topic, [row["id"] for row in rows])}
        yield [found[row["id"]] for row in rows if row["id"] in found]
        if len(rows) < query.limit:
            return
        query = msgspec.structs.replace(query, after=Cursor(query.sort, rows[-1]["sort_value"], rows[-1]["id"]))


def _encoded(resource: Resource, record: Record, form: Format, *, is_first: bool) -> bytes:
    shown = represent(record)
    if form == "csv":
        return csv_row(resource, msgspec.json.decode(shown))
    return (b"\n" if is_first else b",\n") + shown


def export_route(resource: Resource) -> HTTPRouteHandler:
    """Make `GET /{resource}/export`."""
    names = tuple(name for name in parameter_names(resource) if name not in {"limit", "cursor", "at_version"})

    @get(
        f"/{resource.name}/export",
        opt=opt("read", query=("format", *names)),
        operation_id=f"export{title(resource.name)}",
        operation_class=_export_operation(resource),
        summary=f"All {resource.name} of a list as a file, at one version",
        tags=[resource.name],
        responses={
            OK: ResponseSpec(record_type(resource), description="The file", generate_examples=False),
            **documented(*WORKSPACE_PROBLEMS),
        },
    )
    async def export_records(
        request: ApiRequest, caller: NamedDependency[Caller], exports: NamedDependency[Exports]
    ) -> Stream:
        given = list(request.query_params.multi_items())
        form = read_parameters(_Wanted, [each for each in given if each[0] == "format"]).format
        query = read_query(resource, [each for each in given if each[0] != "format"])
        # into a file first: a reader who is slow must not keep a connection, and a snapshot, of the database
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  (closed when it is read)
        try:
            position = await exports.write(resource, caller.workspace_id, query, form, file)
        except BaseException:
            file.close()
            raise
        headers = {
            "Content-Disposition": f'attachment; filename="{resource.name}.{form}"',
            "Content-Length": str(file.tell()),
            "ETag": f'"{position}"',
        }
        return Stream(_chunks(file), media_type=MEDIA_TYPES[form], headers=headers)

    return export_records


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _export_operation(resource: Resource) -> type[Operation]:
    """Return an operation with the parameters of an export, and with both forms of its answer."""

    @dataclass
    class ExportOperation(Operation):
        def __post_init__(self) -> None:
            self.parameters = [
                *(self.parameters or []),
                query_parameter("format", Format, required=True),
                *selection_parameters(resource),
            ]
            answer = (self.responses or {})[str(OK)]
            assert isinstance(answer, OpenAPIResponse)  # noqa: S101  (made by Litestar from the route's)
            record = (answer.content or {})[MEDIA_TYPES["json"]].schema
            records = Schema(type=OpenAPIType.ARRAY, items=record, description=_AS_MANY)
            text = Schema(type=OpenAPIType.STRING, description=_AS_MANY)
            answer.content = {
                MEDIA_TYPES["json"]: OpenAPIMediaType(schema=records),
                MEDIA_TYPES["csv"]: OpenAPIMediaType(schema=text),
            }

    return ExportOperation
