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

MEDIA_TYPE = "application/vnd.oai.openapi+json"
_REFERENCE = "#/components/schemas/{name}"


def openapi_document(described: Litestar) -> bytes:
    """Return the document of an application that was built with an `openapi_config`; it need not be the one served."""
    document = described.openapi_schema.to_schema()
    kinds = {kind for route in described.routes if isinstance(route, HTTPRoute) for kind in _kinds_of(route)}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    document["components"] |= {"schemas": schemas}
    return msgspec.json.encode(document)


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
