"""API tokens: with one, a program acts in one workspace. The token is shown once and stored as its SHA-256."""

import secrets
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

import asyncpg
import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from msgspec import Meta

from services.api.auth_routes import NO_STORE
from services.api.paging import PAGE_PARAMETERS, PagedOperation, PageQuery, page_query, read_page
from services.api.permissions import Caller, require_scopes_within, sees_all_tokens
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.recording import record_by
from services.api.requests import ApiRequest, opt, origin_of
from shared.audit import Details, Origin
from shared.errors import NotFound, Rejected
from shared.io.database.queries import queries
from shared.io.identity_changes import IdentityChanges
from shared.io.litestar_problems import documented
from shared.names import is_id, new_id
from shared.resources.declaration import Line
from shared.tokens import API_TOKEN_PREFIX, Scope, hash_token

MAX_TOKENS = 100
"""How many API tokens a member may have in a workspace, those included that expired within a week."""

_DAY_S = 24 * 3600
_SQL = queries("api_tokens")
_record = partial(record_by, resource="api_tokens")


class NewApiToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token is called and for, and for how long (seconds from now), null for one without end."""

    name: Annotated[Line, Meta(min_length=1)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=3)]
    expires_in_s: Annotated[int, Meta(ge=60, le=5 * 365 * _DAY_S)] | None = 90 * _DAY_S


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is known afterwards; when it was used last is known to within some minutes."""

    id: str
    name: str
    scopes: list[Scope]
    user_id: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ShownApiToken(ApiToken, frozen=True, kw_only=True):
    """A token as it is shown once."""

    token: str


class ApiTokenPage(msgspec.Struct, frozen=True):
    """Part of the list of API tokens, the newest first; `next_cursor` is null on the last page."""

    items: list[ApiToken]
    next_cursor: str | None


class ApiTokens:
    """Keeps the API tokens of workspaces."""

    def __init__(self, pool: asyncpg.Pool, changes: IdentityChanges) -> None:
        self._pool = pool
        self._changes = changes

    async def add(self, caller: Caller, wanted: NewApiToken, origin: Origin) -> ShownApiToken:
        """Make a token; raises Forbidden for scopes beyond the caller's role, Rejected when they have too many."""
        require_scopes_within(caller.role, wanted.scopes)
        token = f"{API_TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
        await _SQL.forget_api_tokens(self._pool, workspace_id=caller.workspace_id)
        scopes: list[str] = list(dict.fromkeys(wanted.scopes))
        async with self._pool.acquire() as connection, connection.transaction():
            row = await _SQL.add_api_token(
                connection,
                id=new_id("t"),
                workspace_id=caller.workspace_id,
                user_id=caller.user_id,
                name=wanted.name,
                scopes=scopes,
                token_hash=hash_token(token),
                expires_in_s=wanted.expires_in_s,
                most=MAX_TOKENS,
            )
            if row is None:
                raise Rejected(f"you may have at most {MAX_TOKENS} API tokens in a workspace", code="too_many")
            details: Details = {"name": wanted.name, "scopes": scopes}
            await _record(connection, caller, "created", row["id"], origin=origin, details=details)
        return ShownApiToken(token=token, **dict(row))

    async def page(self, caller: Caller, query: PageQuery) -> ApiTokenPage:
        """Return a page of the tokens that the caller may see."""
        rows = _SQL.list_api_tokens(self._pool, **_scope(caller), **query.arguments)
        items, cursor = await read_page(query, rows)
        return ApiTokenPage([ApiToken(**item) for item in items], cursor)

    async def revoke(self, caller: Caller, token_id: str, origin: Origin) -> None:
        """Delete a token that the caller may see; raises NotFound."""
        async with self._pool.acquire() as connection, connection.transaction():
            user_id = is_id(token_id) and await _SQL.delete_api_token(connection, **_scope(caller), id=token_id)
            if not user_id:
                raise NotFound("there is no such API token")
            await _record(connection, caller, "deleted", token_id, origin=origin, details={"user": user_id})
        await self._changes.announce({user_id})


def _scope(caller: Caller) -> dict[str, object]:
    return {"workspace_id": caller.workspace_id, "user_id": caller.user_id, "of_all": sees_all_tokens(caller)}


@post(
    "/tokens",
    opt=opt("member"),
    operation_id="addApiToken",
    summary="Make an API token",
    tags=["API tokens"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS),
)
async def add_api_token(
    data: JSONBody[NewApiToken],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    api_tokens: NamedDependency[ApiTokens],
) -> Response[ShownApiToken]:
    """Make an API token for this workspace; this answer is the only one that shows it."""
    return Response(await api_tokens.add(caller, data, origin_of(request)), headers=NO_STORE)


@get(
    "/tokens",
    opt=opt("member", query=PAGE_PARAMETERS),
    operation_id="listApiTokens",
    operation_class=PagedOperation,
    summary="List your API tokens",
    tags=["API tokens"],
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def list_api_tokens(
    request: ApiRequest, caller: NamedDependency[Caller], api_tokens: NamedDependency[ApiTokens]
) -> ApiTokenPage:
    """List your API tokens in this workspace, the newest first; as an owner, those of all members."""
    return await api_tokens.page(caller, page_query("-created_at", request.query_params.multi_items()))


@delete(
    "/tokens/{token_id:str}",
    opt=opt("member"),
    operation_id="revokeApiToken",
    summary="Revoke an API token",
    tags=["API tokens"],
    responses=documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
)
async def revoke_api_token(
    token_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    api_tokens: NamedDependency[ApiTokens],
) -> None:
    """Revoke an API token of yours, or as an owner of any member; its streams are closed."""
    await api_tokens.revoke(caller, token_id, origin_of(request))


API_TOKEN_ROUTES = (add_api_token, list_api_tokens, revoke_api_token)
