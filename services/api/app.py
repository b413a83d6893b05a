"""The api's application: its routes, with the parts that they work with."""

from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from services.api.audit import AUDIT_ROUTES
from services.api.auth_routes import AUTH_ROUTES
from services.api.enrolment import ENROLMENT_ROUTES
from services.api.parts import Parts
from services.api.records.routes import record_routes
from services.api.requests import MAX_BODY_BYTES, ApiRequest, guard_for, opt, provide_caller, provide_terms
from services.api.servers import SERVER_ROUTES
from services.api.sync_routes import SYNC_ROUTES
from shared.io.litestar_app import litestar_app
from shared.io.litestar_openapi import document_route, openapi_document
from shared.resources import RESOURCES


def build_app(parts: Parts) -> Litestar:
    """Build the application."""
    document = openapi_document(_litestar(parts, _routes(), _openapi()))
    return _litestar(parts, [*_routes(), document_route("/api/openapi.json", document, opt("public"))], None)


def _routes() -> list[Any]:
    records = [route for resource in RESOURCES.values() for route in record_routes(resource)]
    return [
        Router("/api/v1", route_handlers=[*AUTH_ROUTES, *AUDIT_ROUTES, *ENROLMENT_ROUTES, *records, *SERVER_ROUTES]),
        Router("/api", route_handlers=SYNC_ROUTES),
    ]


def _litestar(parts: Parts, routes: list[Any], openapi: OpenAPIConfig | None) -> Litestar:
    return litestar_app(
        routes,
        request_class=ApiRequest,
        guard=guard_for(parts.identity),
        parts={name: getattr(parts, name) for name in Parts.__struct_fields__},
        provided={"caller": Provide(provide_caller, sync_to_thread=False), "terms": Provide(provide_terms)},
        max_body_bytes=MAX_BODY_BYTES,
        openapi=openapi,
    )


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="Muster api",
        version="1",
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
    )
