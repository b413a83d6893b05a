"""Many writes of records at once, all or nothing: `POST /{resource}/bulk`."""

from collections.abc import Callable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from services.api.bodies import invalid
from services.api.conditions import WriteTerms
from services.api.problems import BODY_PROBLEMS, WRITE_PROBLEMS
from services.api.records.answers import ACCEPTED, OK, described, edited_answer
from services.api.records.merge import made, patched, replaced
from services.api.records.representation import draft_type, edited_type, patch_type, title
from services.api.records.writer import Change, Creation, Deletion, RecordWriter, Step, id_made_by
from services.api.requests import opt
from shared.errors import Rejected
from shared.io.litestar_problems import documented
from shared.io.problem import FieldError, HttpError
from shared.resources import Resource
from shared.resources.declaration import RecordId

MAX_OPERATIONS = 1000

_Version = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Data = TypeVar("_Data")
_CREATE, _REPLACE, _UPDATE, _DELETE = "create", "replace", "update", "delete"


@cache
def bulk_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of the body: operations that are told apart by their `action`."""
    draft, patch = draft_type(resource), patch_type(resource)
    new_id = ("id", RecordId | UnsetType, UNSET)
    version = ("version", _Version | UnsetType, UNSET)
    kinds: list[tuple[str, list[Any]]] = [
        (_CREATE, [new_id, ("data", draft)]),
        (_REPLACE, [("id", RecordId), ("data", draft), version]),
        (_UPDATE, [("id", RecordId), ("data", patch), version]),
    ]
    if resource.deletable:
        kinds.append((_DELETE, [("id", RecordId), version]))
    operation: Any = None
    for action, fields in kinds:
        kind = msgspec.defstruct(
            f"{resource.model.__name__}{title(action)}",
            fields,
            tag_field="action",
            tag=action,
            forbid_unknown_fields=True,
            kw_only=True,
        )
        operation = kind if operation is None else operation | kind
    operations = Annotated[tuple[operation, ...], Meta(min_length=1, max_length=MAX_OPERATIONS)]
    return msgspec.defstruct(f"{resource.model.__name__}Bulk", [("operations", operations)], forbid_unknown_fields=True)


def bulk_route(resource: Resource) -> HTTPRouteHandler:
    """Make `POST /{resource}/bulk`."""

    async def write_records(
        data: JSONBody[msgspec.Struct], terms: NamedDependency[WriteTerms], writer: NamedDependency[RecordWriter]
    ) -> Response[bytes]:
        operations: tuple[Any, ...] = data.operations  # type: ignore[attr-defined]  # the type is made at run time
        steps = [_step(resource, operation, number, terms) for number, operation in enumerate(operations)]
        _require_different(steps)
        try:
            written = await writer.write(resource, steps, terms)
        except Rejected as error:
            error.field = _inside(error.index, f"data.{error.field}" if error.field else "id")
            raise
        return edited_answer(written, terms)

    write_records.__annotations__["data"] = JSONBody[bulk_type(resource)]  # type: ignore[misc]  # likewise
    return post(
        f"/{resource.name}/bulk",
        opt=opt("write", writers=resource.writers),
        status_code=OK,
        operation_id=f"bulkWrite{title(resource.name)}",
        summary=f"Write up to {MAX_OPERATIONS} of the {resource.name}, all or none",
        tags=[resource.name],
        responses={
            OK: described(edited_type(resource), "The records that are left, in order, as they are now, committed"),
            ACCEPTED: described(edited_type(resource), "The records as they are in the log; they will be committed"),
            **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
        },
    )(write_records)


def _step(resource: Resource, operation: Any, number: int, terms: WriteTerms) -> Step:  # noqa: ANN401  (made at run time)
    action = operation.__struct_config__.tag
    if action == _CREATE:
        record_id = id_made_by(terms, resource, number) if operation.id is UNSET else operation.id
        return Creation(record_id, _locating(number, made, resource, operation.data))
    version = None if operation.version is UNSET else operation.version
    if action == _DELETE:
        return Deletion(operation.id, version)
    if action == _REPLACE:
        return Change(operation.id, lambda r: _locating(number, replaced, resource, r.data, operation.data), version)
    named = ((name, getattr(operation.data, name)) for name in operation.data.__struct_fields__)
    patch = {name: value for name, value in named if value is not UNSET}
    return Change(operation.id, lambda r: _locating(number, patched, resource, r.data, patch), version)


def _locating(number: int, edit: Callable[..., _Data], *arguments: object) -> _Data:
    """Edit as an operation wants it; what is wrong with its fields is said of those of the operation."""
    try:
        return edit(*arguments)
    except HttpError as error:
        raise invalid(*(FieldError(_inside(number, f"data.{e.field}"), e.message) for e in error.errors)) from error


def _inside(number: int, path: str) -> str:
    return f"operations[{number}].{path}"


def _require_different(steps: Sequence[Step]) -> None:
    """Raise HttpError (422) where two operations are about one record."""
    first: dict[str, int] = {}
    twice = [
        FieldError(_inside(number, "id"), "another operation is about this record")
        for number, step in enumerate(steps)
        if first.setdefault(step.id, number) != number
    ]
    if twice:
        raise invalid(*twice)
