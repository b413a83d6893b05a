"""Routes of the records, made for each resource from its declaration."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import get, patch
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from services.api.conditions import WriteTerms
from services.api.permissions import Caller
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS, WRITE_PROBLEMS
from services.api.records.answers import ACCEPTED, OK, described, page_answer, record_answer, written_answer
from services.api.records.listing import DEFAULT_LIMIT, MAX_LIMIT, NEWEST_POSSIBLE, parameter_names, read_query
from services.api.records.merge import patched
from services.api.records.reader import RecordReader
from services.api.records.representation import page_type, patch_type, record_type
from services.api.records.writer import RecordWriter
from services.api.requests import JSON, MERGE_PATCH, ApiRequest, opt
from shared.io.litestar_problems import documented
from shared.io.problem import RefetchProblem
from shared.names import Topic
from shared.resources import Resource


def list_route(resource: Resource) -> HTTPRouteHandler:
    """Make `GET /{resource}`."""

    @get(
        f"/{resource.name}",
        opt=opt("read", query=tuple(parameter_names(resource))),
        operation_id=f"list{resource.model.__name__}s",
        operation_class=_listing_operation(resource),
        summary=f"List {resource.name}",
        tags=[resource.name],
        responses={OK: described(page_type(resource), "A page of the list"), **_list_problems(resource)},
    )
    async def list_records(
        request: ApiRequest, caller: NamedDependency[Caller], records: NamedDependency[RecordReader]
    ) -> Response[bytes]:
        query = read_query(resource, request.query_params.multi_items())
        return page_answer(await records.page(resource, caller.workspace_id, query))

    return list_records


def read_route(resource: Resource) -> HTTPRouteHandler:
    """Make `GET /{resource}/{id}`."""

    @get(
        f"/{resource.name}/{{record_id:str}}",
        opt=opt("read"),
        operation_id=f"read{resource.model.__name__}",
        summary=f"Read one of the {resource.name}",
        tags=[resource.name],
        responses={
            OK: described(record_type(resource), "The record"),
            **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
        },
    )
    async def read_record(
        record_id: FromPath[str], caller: NamedDependency[Caller], records: NamedDependency[RecordReader]
    ) -> Response[bytes]:
        return record_answer(await records.read(Topic(caller.workspace_id, resource.name), record_id))

    return read_record


def patch_route(resource: Resource) -> HTTPRouteHandler:
    """Make `PATCH /{resource}/{id}`."""

    async def patch_record(
        data: JSONBody[msgspec.Struct],  # noqa: ARG001  (checks the types; what is merged is the JSON itself)
        record_id: FromPath[str],
        request: ApiRequest,
        terms: NamedDependency[WriteTerms],
        writer: NamedDependency[RecordWriter],
    ) -> Response[bytes]:
        changes = msgspec.json.decode(await request.body())
        written = await writer.edit(resource, [record_id], lambda r: patched(resource, r.data, changes), terms)
        return written_answer(written, terms)

    patch_record.__annotations__["data"] = JSONBody[patch_type(resource)]  # type: ignore[misc]  # the type is made at run time
    return patch(
        f"/{resource.name}/{{record_id:str}}",
        opt=opt("write", content_types=(JSON, MERGE_PATCH)),
        operation_id=f"patch{resource.model.__name__}",
        operation_class=_MergePatchOperation,
        summary=f"Change fields of one of the {resource.name} (RFC 7396)",
        tags=[resource.name],
        responses={
            OK: described(record_type(resource), "The record as it is now, committed"),
            ACCEPTED: described(record_type(resource), "The record as it is in the log; it will be committed"),
            **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS),
        },
    )(patch_record)


@dataclass
class _MergePatchOperation(Operation):
    """An operation that takes its body under the name of merge patch as well."""

    def __post_init__(self) -> None:
        content: dict[str, Any] = getattr(self.request_body, "content", {})
        content[MERGE_PATCH] = content[JSON]


def _list_problems(resource: Resource) -> dict[int, ResponseSpec]:
    """Describe why there may be no list; one of the past may be out of reach."""
    if not resource.journalled:
        return documented(*WORKSPACE_PROBLEMS)
    return {
        **documented(*WORKSPACE_PROBLEMS, HTTPStatus.UNPROCESSABLE_ENTITY),
        **documented(HTTPStatus.CONFLICT, body=RefetchProblem),
    }


def _listing_operation(resource: Resource) -> type[Operation]:
    """Return an operation that has the parameters of the resource's list."""

    @dataclass
    class ListingOperation(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *_parameters(resource)]

    return ListingOperation


def _parameters(resource: Resource) -> list[Parameter]:
    orders = [order for field in resource.sortable for order in (field, f"-{field}")]
    schemas = {
        "limit": Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT),
        "sort": Schema(type=OpenAPIType.STRING, enum=orders, default=resource.sortable[0]),
        "cursor": Schema(type=OpenAPIType.STRING, description="`next_cursor` of the page before"),
        "q": Schema(type=OpenAPIType.STRING, description=f"Text that {' or '.join(resource.searched)} contains"),
        "at_version": Schema(
            type=OpenAPIType.INTEGER, minimum=0, maximum=NEWEST_POSSIBLE, description="The list as it was at a version"
        ),
    }
    repeated = Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.STRING))
    return [
        Parameter(name=name, param_in="query", schema=schemas.get(name, repeated)) for name in parameter_names(resource)
    ]
