"""Routes of the records, made for each resource from its declaration."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from services.api.bodies import decode_json
from services.api.conditions import WriteTerms
from services.api.parameter_schemas import page_parameters, query_parameter, selection_parameters
from services.api.permissions import Caller
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS, WRITE_PROBLEMS
from services.api.records.answers import (
    ACCEPTED,
    CREATED,
    NO_CONTENT,
    OK,
    deleted_answer,
    described,
    page_answer,
    record_answer,
    written_answer,
)
from services.api.records.bulk import bulk_route
from services.api.records.exporting import export_route
from services.api.records.importing import import_route
from services.api.records.listing import parameter_names, read_query
from services.api.records.merge import made, patched, replaced
from services.api.records.reader import RecordReader
from services.api.records.representation import draft_type, page_type, patch_type, record_type, title
from services.api.records.writer import Creation, Deletion, RecordWriter, id_made_by
from services.api.requests import JSON, MERGE_PATCH, ApiRequest, opt
from shared.io.litestar_problems import documented
from shared.io.problem import RefetchProblem
from shared.names import Topic
from shared.resources import Resource
from shared.resources.declaration import Version


def record_routes(resource: Resource) -> list[HTTPRouteHandler]:
    """Make all routes of a resource; those of one that people do not write are for reading only."""
    routes = [list_route(resource), read_route(resource)]
    if resource.editable:
        routes += [create_route(resource), replace_route(resource), patch_route(resource), bulk_route(resource)]
        routes += [export_route(resource), import_route(resource)]
    if resource.deletable:
        routes.append(delete_route(resource))
    return routes


def list_route(resource: Resource) -> HTTPRouteHandler:
    """Make `GET /{resource}`."""

    @get(
        f"/{resource.name}",
        opt=opt("read", query=tuple(parameter_names(resource))),
        operation_id=f"list{title(resource.name)}",
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
        operation_id=f"read{title(resource.singular)}",
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


def create_route(resource: Resource) -> HTTPRouteHandler:
    """Make `POST /{resource}`."""

    async def create_record(
        data: JSONBody[msgspec.Struct],
        request: ApiRequest,
        terms: NamedDependency[WriteTerms],
        writer: NamedDependency[RecordWriter],
    ) -> Response[bytes]:
        step = Creation(id_made_by(terms, resource), made(resource, data))
        answer = written_answer(await writer.write(resource, [step], terms), terms, done=CREATED)
        answer.headers["Location"] = f"{request.url.path}/{step.id}"
        return answer

    create_record.__annotations__["data"] = JSONBody[draft_type(resource)]  # type: ignore[misc]  # the type is made at run time
    return post(
        f"/{resource.name}",
        opt=opt("write", writers=resource.writers),
        operation_id=f"create{title(resource.singular)}",
        summary=f"Create one of the {resource.name}",
        tags=[resource.name],
        responses={
            CREATED: described(record_type(resource), "The record, committed; `Location` says where it is"),
            ACCEPTED: described(record_type(resource), "The record as it is in the log; it will be committed"),
            **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
        },
    )(create_record)


def replace_route(resource: Resource) -> HTTPRouteHandler:
    """Make `PUT /{resource}/{id}`."""

    async def replace_record(
        data: JSONBody[msgspec.Struct],
        record_id: FromPath[str],
        terms: NamedDependency[WriteTerms],
        writer: NamedDependency[RecordWriter],
    ) -> Response[bytes]:
        written = await writer.edit(resource, [record_id], lambda r: replaced(resource, r.data, data), terms)
        return written_answer(written, terms)

    replace_record.__annotations__["data"] = JSONBody[draft_type(resource)]  # type: ignore[misc]  # the type is made at run time
    return put(
        f"/{resource.name}/{{record_id:str}}",
        opt=opt("write", writers=resource.writers),
        operation_id=f"replace{title(resource.singular)}",
        summary=f"Set all fields of one of the {resource.name}; those left out get their defaults",
        tags=[resource.name],
        responses=_edit_answers(resource),
    )(replace_record)


def delete_route(resource: Resource) -> HTTPRouteHandler:
    """Make `DELETE /{resource}/{id}`."""

    @delete(
        f"/{resource.name}/{{record_id:str}}",
        opt=opt("write", writers=resource.writers),
        status_code=NO_CONTENT,
        operation_id=f"delete{title(resource.singular)}",
        summary=f"Delete one of the {resource.name}",
        tags=[resource.name],
        responses={
            NO_CONTENT: described(None, "The record is deleted, and that is committed"),
            ACCEPTED: described(None, "The deletion is in the log; it will be committed"),
            **documented(*WRITE_PROBLEMS),
        },
    )
    async def delete_record(
        record_id: FromPath[str], terms: NamedDependency[WriteTerms], writer: NamedDependency[RecordWriter]
    ) -> Response[None]:
        written = await writer.write(resource, [Deletion(record_id)], terms)
        return deleted_answer(terms, committed=written.committed)

    return delete_record


def patch_route(resource: Resource) -> HTTPRouteHandler:
    """Make `PATCH /{resource}/{id}`."""

    async def patch_record(
        data: JSONBody[msgspec.Struct],  # noqa: ARG001  (checks the types; what is merged is the JSON itself)
        record_id: FromPath[str],
        request: ApiRequest,
        terms: NamedDependency[WriteTerms],
        writer: NamedDependency[RecordWriter],
    ) -> Response[bytes]:
        changes = decode_json(await request.body())
        written = await writer.edit(resource, [record_id], lambda r: patched(resource, r.data, changes), terms)
        return written_answer(written, terms)

    patch_record.__annotations__["data"] = JSONBody[patch_type(resource)]  # type: ignore[misc]  # the type is made at run time
    return patch(
        f"/{resource.name}/{{record_id:str}}",
        opt=opt("write", writers=resource.writers, content_types=(JSON, MERGE_PATCH)),
        operation_id=f"patch{title(resource.singular)}",
        operation_class=_MergePatchOperation,
        summary=f"Change fields of one of the {resource.name} (RFC 7396)",
        tags=[resource.name],
        responses=_edit_answers(resource),
    )(patch_record)


def _edit_answers(resource: Resource) -> dict[int, ResponseSpec]:
    """Return the answers to an edit of one record."""
    conflict = (HTTPStatus.CONFLICT,) if resource.unique else ()
    return {
        OK: described(record_type(resource), "The record as it is now, committed"),
        ACCEPTED: described(record_type(resource), "The record as it is in the log; it will be committed"),
        **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS, *conflict),
    }


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
        **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
        **documented(HTTPStatus.CONFLICT, body=RefetchProblem),
    }


def _listing_operation(resource: Resource) -> type[Operation]:
    """Return an operation that has the parameters of the resource's list."""

    @dataclass
    class ListingOperation(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *page_parameters(), *selection_parameters(resource)]
            if resource.journalled:
                past = query_parameter("at_version", Version, description="The list as it was at a version")
                self.parameters.append(past)

    return ListingOperation
