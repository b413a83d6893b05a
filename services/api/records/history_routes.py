"""Routes of the journal, made for each journalled resource from its declaration."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from msgspec import Meta

from services.api.conditions import WriteTerms
from services.api.parameter_schemas import page_parameters
from services.api.permissions import Caller
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS, WRITE_PROBLEMS
from services.api.records.answers import (
    ACCEPTED,
    JSON_BYTES,
    NO_CONTENT,
    OK,
    deleted_answer,
    described,
    preference_applied,
    written_answer,
)
from services.api.records.history import History, history_type
from services.api.records.listing import DEFAULT_LIMIT, MAX_LIMIT, NEWEST_POSSIBLE, read_number, read_once
from services.api.records.representation import record_type, title
from services.api.records.revert import Reverter
from services.api.requests import ApiRequest, opt
from shared.io.litestar_problems import documented
from shared.resources import RESOURCES, Resource


class Revert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names the change to undo by the version that it led to."""

    version: Annotated[int, Meta(ge=1, le=NEWEST_POSSIBLE)]


@dataclass
class _PagedOperation(Operation):
    """An operation that has the parameters of a page."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or []), *page_parameters()]


def changes_route(resource: Resource) -> HTTPRouteHandler:
    """Make `GET /{resource}/{id}/changes`."""

    @get(
        f"/{resource.name}/{{record_id:str}}/changes",
        opt=opt("read", query=("limit", "cursor")),
        operation_id=f"list{title(resource.singular)}Changes",
        operation_class=_PagedOperation,
        summary=f"What happened to one of the {resource.name}, newest first",
        tags=[resource.name],
        responses={
            OK: described(history_type(resource), "A page of the record's history"),
            **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
        },
    )
    async def list_changes(
        record_id: FromPath[str],
        request: ApiRequest,
        caller: NamedDependency[Caller],
        history: NamedDependency[History],
    ) -> Response[bytes]:
        given: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            given.setdefault(name, []).append(value)
        page = await history.page(
            resource,
            caller.workspace_id,
            record_id,
            limit=read_number("limit", read_once(given, "limit"), 1, MAX_LIMIT) or DEFAULT_LIMIT,
            cursor=read_once(given, "cursor"),
        )
        return Response(msgspec.json.encode(page), media_type=JSON_BYTES)

    return list_changes


def _record_or_nothing(resource: Resource, description: str) -> ResponseSpec:
    return ResponseSpec(record_type(resource) | None, description=description, generate_examples=False)


def revert_route(resource: Resource) -> HTTPRouteHandler:
    """Make `POST /{resource}/{id}/revert`."""

    @post(
        f"/{resource.name}/{{record_id:str}}/revert",
        opt=opt("write", writers=resource.writers),
        status_code=OK,
        operation_id=f"revert{title(resource.singular)}",
        summary=f"Undo one change of one of the {resource.name} by a new one",
        tags=[resource.name],
        responses={
            OK: described(record_type(resource), "The record as it is now, committed"),
            ACCEPTED: _record_or_nothing(resource, "The record as it is in the log, null when it is deleted there"),
            NO_CONTENT: described(None, "The record is deleted, as it was created by the change; that is committed"),
            **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
        },
    )
    async def revert_change(
        data: JSONBody[Revert],
        record_id: FromPath[str],
        terms: NamedDependency[WriteTerms],
        reverter: NamedDependency[Reverter],
    ) -> Response[Any]:
        written = await reverter.revert(resource, record_id, data.version, terms)
        if written.records:
            return written_answer(written, terms)
        if written.committed:
            return deleted_answer(terms, committed=True)
        headers = preference_applied(terms)
        return Response(b"null", status_code=ACCEPTED, media_type=JSON_BYTES, headers=headers)

    return revert_change


HISTORY_ROUTES: tuple[HTTPRouteHandler, ...] = tuple(
    make(resource) for resource in RESOURCES.values() if resource.journalled for make in (changes_route, revert_route)
)
