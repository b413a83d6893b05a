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
        taken = handler.parsed_data_field
        given = handler.parsed_fn_signature.return_type
        annotations = [given.annotation, *(inner.annotation for inner in given.inner_types)]
        if taken is not None:
            annotations.append(taken.annotation)
        annotations.extend(spec.data_container for spec in (handler.responses or {}).values())
        for kind in annotations:
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                yield kind
