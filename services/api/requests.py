"""How requests are taken in: who sends them, whether they may, on what terms, and strict JSON as their body."""

from typing import Annotated, Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers.base import BaseRouteHandler
from litestar.params import HeaderParameter
from litestar.types import Guard

from services.api.bodies import decode_body
from services.api.conditions import (
    IF_MATCH,
    MAX_HEADER_CHARACTERS,
    MAX_KEY_CHARACTERS,
    WriteTerms,
    digest_of_request,
    operation_id_of,
    prefers_async,
    read_if_match,
)
from services.api.permissions import WRITERS, Access, Caller, admit
from shared.audit import Actor, Origin
from shared.errors import Malformed, Unauthenticated
from shared.io.address import full_address_of
from shared.io.identity import Identity
from shared.io.probes import REQUEST_ID
from shared.io.problem import HttpError, bad_parameter
from shared.io.reading import READ_TIMEOUT_S, in_time
from shared.tokens import Principal, Role

MAX_BODY_BYTES = 1_000_000
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

Connection = ASGIConnection[Any, Any, Any, Any]


class ApiRequest(Request[Principal, Caller, Any]):
    """A request whose body, where its handler wants one, is strict JSON of the declared type.

    `user` is the principal that the guard found, `auth` the caller in the chosen workspace.
    """

    async def body(self) -> bytes:
        """Return the body; raises HttpError when the handler wants JSON and this is none."""
        wants_body = self.route_handler.parsed_data_field is not None
        if wants_body:
            taken = self.route_handler.opt.get("content_types", (JSON,))
            if self.content_type[0].lower() not in taken:
                raise HttpError(415, "unsupported_media_type", f"Content-Type must be {' or '.join(taken)}")
        limit_bytes = self.route_handler.resolve_request_max_body_size() or MAX_BODY_BYTES
        body = await in_time(super().body(), max(limit_bytes / MAX_BODY_BYTES, 1) * READ_TIMEOUT_S)
        if wants_body and not body:
            raise Malformed("the body is empty: JSON is needed")
        return body

    async def json(self) -> Any:  # noqa: ANN401  (whatever type the handler declares)
        """Return the body decoded as the type that the handler declares for `data`."""
        declared = self.route_handler.parsed_data_field
        assert declared is not None  # noqa: S101  (Litestar asks only for handlers that have it)
        return decode_body(await self.body(), declared.annotation)


def opt(
    access: Access,
    *,
    query: tuple[str, ...] = (),
    content_types: tuple[str, ...] = (JSON,),
    writers: frozenset[Role] = WRITERS,
) -> dict[str, Any]:
    """Return the `opt` of a route: whom it is for, which query parameters and which bodies it takes.

    `writers` are the roles that may use it, where it is for writing.
    """
    return {"access": access, "query": frozenset(query), "content_types": content_types, "writers": writers}


def guard_for(identity: Identity) -> Guard:
    """Return the guard of all routes; a route that does not say whom it is for is closed."""

    async def admit_caller(connection: Connection, handler: BaseRouteHandler) -> None:
        if connection.scope.get("method") == "OPTIONS":  # Litestar answers it with the methods of the route
            return
        access: Access | None = handler.opt.get("access")
        if access is None:
            raise RuntimeError(f"{handler} says nothing of who may use it")
        _require_known_parameters(connection, handler)
        if access == "public":
            return
        principal = await identity.authenticate(bearer_token(connection.headers.get("authorization")))
        connection.scope["user"] = principal
        named, at = connection.headers.get("x-workspace"), connection.path_params.get("workspace_id")
        connection.scope["auth"] = admit(principal, access, named=named, at=at, writers=handler.opt["writers"])

    return admit_caller


def bearer_token(header: str | None) -> str:
    """Return the token of an `Authorization` header; raises Unauthenticated."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send a token as `Authorization: Bearer …`")
    return token.strip()


def origin_of(request: Connection) -> Origin:
    """Return from where a request came, for the audit log."""
    peer = request.client.host if request.client else ""
    address = full_address_of(peer, request.headers.get("x-forwarded-for"))
    return Origin(address, str(request.scope.get(REQUEST_ID, "")))


def actor_of(request: ApiRequest) -> Actor:
    """Return who asks and from where, for the audit log; the route must not be public."""
    return Actor(request.user.user_id, origin_of(request))


def _require_known_parameters(connection: Connection, handler: BaseRouteHandler) -> None:
    for name in connection.query_params:
        if name not in handler.opt.get("query", ()):
            raise bad_parameter(name[:100], "there is no such parameter")


def provide_caller(
    request: ApiRequest,
    x_workspace: Annotated[  # noqa: ARG001  (stands here for OpenAPI; the guard reads it)
        str | None,
        HeaderParameter(
            name="X-Workspace",
            description="The workspace; needed by users who have several.",
            schema_extra={"pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": 64},
        ),
    ] = None,
) -> Caller:
    """Provide the caller whom the guard let in."""
    return request.auth


async def provide_terms(
    request: ApiRequest,
    caller: NamedDependency[Caller],
    if_match: Annotated[
        str | None,
        HeaderParameter(
            name="If-Match",
            description='Write only if the record has this ETag, such as "44"; else 412.',
            schema_extra={"pattern": f"^{IF_MATCH}$", "maxLength": MAX_HEADER_CHARACTERS},
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            description="Repeating a request with its key does it once.",
            schema_extra={"pattern": "^[!-~]+$", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        HeaderParameter(
            name="Prefer",
            description="`respond-async`: answer 202 once the change is in the log. Other preferences are ignored.",
            schema_extra={"maxLength": MAX_HEADER_CHARACTERS},
        ),
    ] = None,
) -> WriteTerms:
    """Provide the terms of a write."""
    digest = ""
    if idempotency_key is not None:
        digest = digest_of_request(request.method, request.url.path, await request.body())
    return WriteTerms(
        workspace_id=caller.workspace_id,
        actor=caller.user_id,
        operation_id=operation_id_of(caller.user_id, caller.workspace_id, idempotency_key),
        versions=read_if_match(if_match),
        request_digest=digest,
        respond_async=prefers_async(prefer),
        origin=origin_of(request),
    )
