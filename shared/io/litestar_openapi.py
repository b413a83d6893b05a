"""The OpenAPI document of a Litestar application, its schemas made by msgspec, which checks the bodies as well.

Litestar's own schemas leave out bounds of 0 and describe tuples wrongly; its own routes for the document answer every
other path beside them with HTML.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from shared.io.problem import RETRIED
from shared.resources.declaration import Identifier

MEDIA_TYPE = "application/vnd.oai.openapi+json"
_COME_AGAIN = {str(int(status)) for status in RETRIED}
_RETRY_AFTER = {
    "description": "After so many seconds the request may be made again",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_REFERENCE = "#/components/schemas/{name}"


def openapi_document(described: Litestar) -> bytes:
    """Return the document of an application that was built with an `openapi_config`; it need not be the one served."""
    document = described.openapi_schema.to_schema()
    kinds = {kind for route in described.routes if isinstance(route, HTTPRoute) for kind in _kinds_of(route)}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    document["components"] |= {"schemas": schemas}
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        _describe_parameters(operation.get("parameters", []))
        _describe_waits(operation["responses"])
    return msgspec.json.encode(document)


def _describe_parameters(parameters: list[dict[str, Any]]) -> None:
    """Say that what stands in a path is an id, and that a header which may be left out is not null then."""
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["schema"] = msgspec.json.schema(Identifier)
        kinds = parameter["schema"].pop("oneOf", ())
        for kind in kinds:
            if kind != {"type": "null"}:
                parameter["schema"] |= kind


def _describe_waits(responses: dict[str, Any]) -> None:
    """Say that who is to come again later is told when."""
    for status in _COME_AGAIN & responses.keys():
        responses[status]["headers"] = {"Retry-After": _RETRY_AFTER}


def stated_bounds(max_body_bytes: int) -> str:
    """Return the sentences about what holds for all bodies, for the description of a document."""
    return (
        f"A body has at most {max_body_bytes:,} bytes where nothing else is said, else it is answered with 413. "
        "JSON that is nested deeper than some hundred levels is no JSON here: 400. "
        "`429` and `503` say in `Retry-After` when the request may be made again."
    )


def document_route(path: str, document: bytes, opt: dict[str, Any]) -> HTTPRouteHandler:
    """Return the route that serves the document."""

    @get(path, opt=opt, include_in_schema=False)
    async def openapi() -> Response[bytes]:
        return Response(document, media_type=MEDIA_TYPE)

    return openapi


def _kinds_of(route: HTTPRoute) -> Iterator[type[msgspec.Struct]]:
    """Yield the types that a route takes and gives."""
    for handler in route.route_handlers:
        yield from _structs_in(handler.parsed_fn_signature.return_type)
        if handler.parsed_data_field is not None:
            yield from _structs_in(handler.parsed_data_field)
        for spec in (handler.responses or {}).values():
            if isinstance(spec.data_container, type) and issubclass(spec.data_container, msgspec.Struct):
                yield spec.data_container


def _structs_in(field: FieldDefinition) -> Iterator[type[msgspec.Struct]]:
    """Yield the type of a parameter or an answer, or those that a union or an array is made of."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, msgspec.Struct):
        yield field.annotation
    for inner in field.inner_types:
        yield from _structs_in(inner)
