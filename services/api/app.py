"""The api's application: its routes, with the parts that they work with."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Guard

from services.api.agent_identity_routes import AGENT_IDENTITY_ROUTES
from services.api.api_tokens import API_TOKEN_ROUTES
from services.api.audit import AUDIT_ROUTES
from services.api.auth_routes import AUTH_ROUTES
from services.api.downloads import DOWNLOAD_ROUTES
from services.api.enrolment import ENROLMENT_ROUTES
from services.api.inventories import INVENTORY_ROUTES
from services.api.invitation_routes import INVITATION_ROUTES
from services.api.metric_history_routes import METRIC_HISTORY_ROUTES
from services.api.parts import Parts
from services.api.records.history_routes import HISTORY_ROUTES
from services.api.records.routes import record_routes
from services.api.relays import RELAY_ROUTES
from services.api.requests import MAX_BODY_BYTES, ApiRequest, Connection, guard_for, opt, provide_caller, provide_terms
from services.api.servers import SERVER_ROUTES
from services.api.sync_routes import SYNC_ROUTES
from services.api.user_routes import USER_ROUTES
from services.api.workspace_routes import WORKSPACE_ROUTES
from shared.io.litestar_app import litestar_app
from shared.io.litestar_openapi import document_route, openapi_document, stated_bounds
from shared.resources import RESOURCES


def build_app(parts: Parts) -> Litestar:
    """Build the application."""
    own = {name: getattr(parts, name) for name in Parts.__struct_fields__}
    document = document_route("/api/openapi.json", _document(), opt("public"))
    return _litestar(guard_for(parts.identity), own, [*_routes(), document])


@cache
def _document() -> bytes:
    """Return the OpenAPI document, which says nothing of the parts: making it takes most of the time of a start."""
    return openapi_document(_litestar(_nobody, dict.fromkeys(Parts.__struct_fields__), _routes(), _openapi()))


async def _nobody(connection: Connection, handler: BaseRouteHandler) -> None:
    """Stand for the guard of an application that is only described."""


def _routes() -> list[Any]:
    records = [route for resource in RESOURCES.values() for route in record_routes(resource)]
    accounts = (*AUTH_ROUTES, *USER_ROUTES, *WORKSPACE_ROUTES, *INVITATION_ROUTES, *API_TOKEN_ROUTES)
    return [
        Router(
            "/api/v1",
            route_handlers=[
                *accounts,
                *AUDIT_ROUTES,
                *ENROLMENT_ROUTES,
                *AGENT_IDENTITY_ROUTES,
                *RELAY_ROUTES,
                *records,
                *HISTORY_ROUTES,
                *SERVER_ROUTES,
                *METRIC_HISTORY_ROUTES,
                *INVENTORY_ROUTES,
                *DOWNLOAD_ROUTES,
            ],
        ),
        Router("/api", route_handlers=SYNC_ROUTES),
    ]


def _litestar(
    guard: Guard, parts: Mapping[str, object], routes: list[Any], openapi: OpenAPIConfig | None = None
) -> Litestar:
    return litestar_app(
        routes,
        request_class=ApiRequest,
        guard=guard,
        parts=parts,
        provided={"caller": Provide(provide_caller, sync_to_thread=False), "terms": Provide(provide_terms)},
        max_body_bytes=MAX_BODY_BYTES,
        openapi=openapi,
    )


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="Muster api",
        version="1",
        description="What people and programs call. " + stated_bounds(MAX_BODY_BYTES),
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
    )
