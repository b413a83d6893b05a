"""Enrolment tokens: with one, a machine joins a workspace. The token is shown once and stored as its SHA-256."""

import secrets
from datetime import datetime
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

import asyncpg
import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from msgspec import Meta

from services.api.agents_offered import Agents
from services.api.auth_routes import NO_STORE
from services.api.installer import install_line
from services.api.permissions import Caller
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.recording import record_by
from services.api.requests import ApiRequest, opt, origin_of
from shared.audit import Details, Origin
from shared.errors import NotFound, Rejected
from shared.io.database.queries import queries
from shared.io.litestar_problems import documented
from shared.names import is_id, new_id
from shared.resources.declaration import Labels, Line

MAX_TOKENS = 1000
"""How many tokens a workspace may have, those included that expired within a week."""

_SQL = queries("enrolment_tokens")
_record = partial(record_by, resource="enrolment_tokens")


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many machines may join by the token, until when (seconds from now), and which groups they get."""

    name: Annotated[Line, Meta(min_length=1)]
    uses: Annotated[int, Meta(ge=1, le=1000)] = 1
    expires_in_s: Annotated[int, Meta(ge=60, le=90 * 24 * 3600)] = 3600
    groups: Labels = ()


class EnrolmentToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is known afterwards."""

    id: str
    name: str
    uses_left: int
    groups: list[str]
    created_by: str | None
    created_at: datetime
    expires_at: datetime


class AddedToken(EnrolmentToken, frozen=True, kw_only=True):
    """A token as it is known once: it is stored as its hash."""

    token: str


class ShownToken(AddedToken, frozen=True, kw_only=True):
    """A token as it is shown once, with what lets a machine in by it.

    `server` is the address at which machines reach the installation; `install_line` is pasted into a shell there.
    """

    server: str
    install_line: str


class TokenList(msgspec.Struct, frozen=True):
    """All tokens of a workspace, the newest first."""

    items: list[EnrolmentToken]


class EnrolmentTokens:
    """Keeps the enrolment tokens of workspaces."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, caller: Caller, wanted: NewToken, origin: Origin) -> AddedToken:
        """Make a token; raises Rejected when the workspace has too many."""
        token = f"me_{secrets.token_urlsafe(32)}"
        await _SQL.forget_enrolment_tokens(self._pool, workspace_id=caller.workspace_id)
        async with self._pool.acquire() as connection, connection.transaction():
            row = await _SQL.add_enrolment_token(
                connection,
                id=new_id("e"),
                workspace_id=caller.workspace_id,
                name=wanted.name,
                token_hash=sha256(token.encode()).digest(),
                groups=list(wanted.groups),
                uses=wanted.uses,
                created_by=caller.user_id,
                expires_in_s=wanted.expires_in_s,
                most=MAX_TOKENS,
            )
            if row is None:
                raise Rejected(f"a workspace has at most {MAX_TOKENS} enrolment tokens", code="too_many")
            details: Details = {"name": wanted.name, "uses": wanted.uses, "groups": list(wanted.groups)}
            await _record(connection, caller, "created", row["id"], origin=origin, details=details)
        return AddedToken(token=token, **dict(row))

    async def list(self, caller: Caller) -> list[EnrolmentToken]:
        """Return the tokens of the caller's workspace."""
        rows = _SQL.list_enrolment_tokens(self._pool, workspace_id=caller.workspace_id)
        return [EnrolmentToken(**dict(row)) async for row in rows]

    async def delete(self, caller: Caller, token_id: str, origin: Origin) -> None:
        """Delete a token; raises NotFound."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = is_id(token_id) and await _SQL.delete_enrolment_token(
                connection, workspace_id=caller.workspace_id, id=token_id
            )
            if not known:
                raise NotFound("there is no such enrolment token")
            await _record(connection, caller, "deleted", token_id, origin=origin)


@post(
    "/enrolment-tokens",
    opt=opt("write"),
    operation_id="addEnrolmentToken",
    summary="Make an enrolment token",
    tags=["enrolment tokens"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS),
)
async def add_token(
    data: JSONBody[NewToken],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    agents: NamedDependency[Agents],
    enrolment_tokens: NamedDependency[EnrolmentTokens],
) -> Response[ShownToken]:
    """Make an enrolment token; this answer is the only one that shows it."""
    server = agents.server_for(request)
    added = await enrolment_tokens.add(caller, data, origin_of(request))
    shown = ShownToken(**msgspec.structs.asdict(added), server=server, install_line=install_line(server, added.token))
    return Response(shown, headers=NO_STORE)


@get(
    "/enrolment-tokens",
    opt=opt("write"),
    operation_id="listEnrolmentTokens",
    summary="List the enrolment tokens",
    tags=["enrolment tokens"],
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def list_tokens(caller: NamedDependency[Caller], enrolment_tokens: NamedDependency[EnrolmentTokens]) -> TokenList:
    """List the enrolment tokens of the workspace."""
    return TokenList(await enrolment_tokens.list(caller))


@delete(
    "/enrolment-tokens/{token_id:str}",
    opt=opt("write"),
    operation_id="deleteEnrolmentToken",
    summary="Delete an enrolment token",
    tags=["enrolment tokens"],
    responses=documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
)
async def delete_token(
    token_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    enrolment_tokens: NamedDependency[EnrolmentTokens],
) -> None:
    """Delete an enrolment token: nobody can join by it any more. Machines that joined stay."""
    await enrolment_tokens.delete(caller, token_id, origin_of(request))


ENROLMENT_ROUTES = (add_token, list_tokens, delete_token)
