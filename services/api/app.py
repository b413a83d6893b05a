"""The api's application: its routes, with the parts that they work with."""

from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from services.api.auth_routes import AUTH_ROUTES
from services.api.enrolment import ENROLMENT_ROUTES
from services.api.parts import Parts
from services.api.records.routes import list_route, patch_route, read_route
from services.api.requests import MAX_BODY_BYTES, ApiRequest, guard_for, opt, provide_caller, provide_terms
from services.api.servers import SERVER_ROUTES
from services.api.sync_routes import sync_status
from shared.io.litestar_openapi import document_route, openapi_document
from shared.io.litestar_problems import exception_handlers
from shared.resources import SERVERS


def build_app(parts: Parts) -> Litestar:
    """Build the application."""
    document = openapi_document(_litestar(parts, _routes(), _openapi()))
    return _litestar(parts, [*_routes(), document_route("/api/openapi.json", document, opt("public"))], None)


def _routes() -> list[Any]:
    records = [make(SERVERS) for make in (list_route, read_route, patch_route)]
    return [
        Router("/api/v1", route_handlers=[*AUTH_ROUTES, *ENROLMENT_ROUTES, *records, *SERVER_ROUTES]),
        Router("/api", route_handlers=[sync_status]),
    ]


def _litestar(parts: Parts, routes: list[Any], openapi: OpenAPIConfig | None) -> Litestar:
    return Litestar(
        route_handlers=routes,
        request_class=ApiRequest,
        guards=[guard_for(parts.identity)],
        dependencies={
            "caller": Provide(provide_caller, sync_to_thread=False),
            "terms": Provide(provide_terms),
            **{name: _provide(getattr(parts, name)) for name in Parts.__struct_fields__},
        },
        exception_handlers=exception_handlers(),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=openapi,
        logging_config=None,
        debug=False,
    )


def _provide(part: object) -> Provide:
    def provide() -> Any:  # noqa: ANN401  (each part has a type of its own)
        return part

    return Provide(provide, sync_to_thread=False)


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="Muster api",
        version="1",
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
    )
