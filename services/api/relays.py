"""Relays: each sends samples for the agents of its workspace. Its token is shown once and stored as its SHA-256."""

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
from services.api.permissions import Caller
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.recording import record_by
from services.api.requests import ApiRequest, opt, origin_of
from shared.audit import Origin
from shared.errors import NotFound, Rejected
from shared.io.database.queries import queries
from shared.io.identity_changes import AgentChanges
from shared.io.litestar_problems import documented
from shared.names import is_id, new_id
from shared.resources.declaration import Line
from shared.tokens import RELAY_TOKEN_PREFIX, hash_token

MAX_RELAYS = 100
"""How many relays a workspace may have, those included that expired within a week."""

_DAY_S = 24 * 3600
_SQL = queries("relays")
_record = partial(record_by, resource="relays")


class NewRelay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a relay is called, and for how long it may send (seconds from now), null for one without end."""

    name: Annotated[Line, Meta(min_length=1)]
    expires_in_s: Annotated[int, Meta(ge=60, le=5 * 365 * _DAY_S)] | None = 90 * _DAY_S


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A relay as it is known afterwards; when it sent last is known to within some minutes."""

    id: str
    name: str
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ShownRelay(Relay, frozen=True, kw_only=True):
    """A relay with its token, as it is shown once."""

    token: str


class RelayList(msgspec.Struct, frozen=True):
    """All relays of a workspace, the newest first."""

    items: list[Relay]


class Relays:
    """Keeps the relays of workspaces."""

    def __init__(self, pool: asyncpg.Pool, agent_changes: AgentChanges) -> None:
        self._pool = pool
        self._agent_changes = agent_changes

    async def add(self, caller: Caller, wanted: NewRelay, origin: Origin) -> ShownRelay:
        """Make a relay; raises Rejected when the workspace has too many."""
        token = f"{RELAY_TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
        await _SQL.forget_relays(self._pool, workspace_id=caller.workspace_id)
        async with self._pool.acquire() as connection, connection.transaction():
            row = await _SQL.add_relay(
                connection,
                id=new_id("rl"),
                workspace_id=caller.workspace_id,
                name=wanted.name,
                token_hash=hash_token(token),
                created_by=caller.user_id,
                expires_in_s=wanted.expires_in_s,
                most=MAX_RELAYS,
            )
            if row is None:
                raise Rejected(f"a workspace has at most {MAX_RELAYS} relays", code="too_many")
            await _record(connection, caller, "created", row["id"], origin=origin, details={"name": wanted.name})
        return ShownRelay(token=token, **dict(row))

    async def list(self, caller: Caller) -> list[Relay]:
        """Return the relays of the caller's workspace."""
        rows = _SQL.list_relays(self._pool, workspace_id=caller.workspace_id)
        return [Relay(**dict(row)) async for row in rows]

    async def delete(self, caller: Caller, relay_id: str, origin: Origin) -> None:
        """Delete a relay; raises NotFound."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = is_id(relay_id) and await _SQL.delete_relay(
                connection, workspace_id=caller.workspace_id, id=relay_id
            )
            if not known:
                raise NotFound("there is no such relay")
            await _record(connection, caller, "deleted", relay_id, origin=origin)
        await self._agent_changes.announce([relay_id])


@post(
    "/relays",
    opt=opt("write"),
    operation_id="addRelay",
    summary="Make a relay",
    tags=["relays"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS),
)
async def add_relay(
    data: JSONBody[NewRelay], request: ApiRequest, caller: NamedDependency[Caller], relays: NamedDependency[Relays]
) -> Response[ShownRelay]:
    """Make a relay, which may send samples for all agents of the workspace; only this answer shows its token."""
    return Response(await relays.add(caller, data, origin_of(request)), headers=NO_STORE)


@get(
    "/relays",
    opt=opt("write"),
    operation_id="listRelays",
    summary="List the relays",
    tags=["relays"],
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def list_relays(caller: NamedDependency[Caller], relays: NamedDependency[Relays]) -> RelayList:
    """List the relays of the workspace."""
    return RelayList(await relays.list(caller))


@delete(
    "/relays/{relay_id:str}",
    opt=opt("write"),
    operation_id="deleteRelay",
    summary="Delete a relay",
    tags=["relays"],
    responses=documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
)
async def delete_relay(
    relay_id: FromPath[str], request: ApiRequest, caller: NamedDependency[Caller], relays: NamedDependency[Relays]
) -> None:
    """Delete a relay: what it sends is refused within a second. What it has sent stays."""
    await relays.delete(caller, relay_id, origin_of(request))


RELAY_ROUTES = (add_relay, list_relays, delete_relay)
