"""Workspaces and their members: who is in, with which role; a workspace never loses its last owner."""

from typing import Annotated

import asyncpg
import msgspec
from msgspec import Meta

from services.api.paging import PageQuery, read_page
from services.api.permissions import Caller
from shared.audit import Actor, Details
from shared.errors import NotFound
from shared.io.audit import record_in
from shared.io.database.queries import queries
from shared.io.identity_changes import IdentityChanges
from shared.io.problem import HttpError
from shared.names import is_id, new_id
from shared.resources import RESOURCES
from shared.resources.declaration import Line
from shared.tokens import Role

_SQL = queries("workspaces")


class WorkspaceName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a workspace is to be called."""

    name: Annotated[Line, Meta(min_length=1)]


class Workspace(msgspec.Struct, frozen=True):
    """A workspace of the user who asks, and their role in it."""

    id: str
    name: str
    role: Role


class WorkspaceList(msgspec.Struct, frozen=True):
    """All workspaces of the user who asks, the oldest first."""

    items: list[Workspace]


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a member is to be."""

    role: Role


class Member(msgspec.Struct, frozen=True):
    """A member of a workspace; `id` is that of the user."""

    id: str
    email: str
    role: Role
    disabled: bool


class MemberPage(msgspec.Struct, frozen=True):
    """Part of the list of members, by e-mail address; `next_cursor` is null on the last page."""

    items: list[Member]
    next_cursor: str | None


async def require_owner(connection: asyncpg.Connection, workspace_id: str) -> None:
    """Raise HttpError (409) when the workspace has no owner left who can sign in.

    It must be locked by then, so that of two who go at the same moment one sees that the other has gone.
    """
    if not await _SQL.has_owner(connection, workspace_id=workspace_id):
        raise HttpError(409, "last_owner", "a workspace must have an owner who can sign in: make another member one")


class Workspaces:
    """Keeps workspaces and memberships."""

    def __init__(self, pool: asyncpg.Pool, changes: IdentityChanges) -> None:
        self._pool = pool
        self._changes = changes

    async def add(self, wanted: WorkspaceName, actor: Actor) -> Workspace:
        """Create a workspace that the actor owns."""
        workspace_id = new_id("w")
        async with self._pool.acquire() as connection, connection.transaction():
            await _SQL.add_workspace(connection, id=workspace_id, name=wanted.name)
            await _SQL.add_member(connection, workspace_id=workspace_id, user_id=actor.id, role="owner")
            await _record(connection, workspace_id, "created", actor, {"name": wanted.name})
        await self._changes.announce({actor.id})
        return Workspace(workspace_id, wanted.name, "owner")

    async def read(self, caller: Caller) -> Workspace:
        """Return the caller's workspace; raises NotFound when it has gone a moment ago."""
        name: str | None = await _SQL.name_of_workspace(self._pool, id=caller.workspace_id)
        if name is None:
            raise _no_workspace()
        return Workspace(caller.workspace_id, name, caller.role)

    async def rename(self, workspace_id: str, wanted: WorkspaceName, actor: Actor) -> None:
        """Call a workspace otherwise; raises NotFound."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _SQL.lock_workspace(connection, id=workspace_id)
            before: str | None = await _SQL.name_of_workspace(connection, id=workspace_id)
            if before is None:
                raise _no_workspace()
            if before == wanted.name:
                return
            await _SQL.rename_workspace(connection, id=workspace_id, name=wanted.name)
            await _record(connection, workspace_id, "updated", actor, {"name": wanted.name})
        await self._changes.announce(await self._member_ids(workspace_id))

    async def delete(self, workspace_id: str, actor: Actor) -> None:
        """Delete a workspace with its tokens, invitations and memberships.

        Raises HttpError (409) if it has records, and NotFound when it has gone a moment ago.
        """
        members = await self._member_ids(workspace_id)
        async with self._pool.acquire() as connection, connection.transaction():
            for resource in RESOURCES:
                has_records = f"SELECT EXISTS (SELECT FROM {resource} WHERE workspace_id = $1)"  # noqa: S608  (declared names)
                if await connection.fetchval(has_records, workspace_id):
                    raise HttpError(409, "not_empty", f"the workspace has {resource}: delete these first")
            if await _SQL.delete_workspace(connection, id=workspace_id) is None:
                raise _no_workspace()
            await _record(connection, workspace_id, "deleted", actor)
        await self._changes.announce(members)

    async def members(self, workspace_id: str, query: PageQuery) -> MemberPage:
        """Return a page of the members."""
        rows = _SQL.list_members(self._pool, workspace_id=workspace_id, **query.arguments)
        items, cursor = await read_page(query, rows)
        return MemberPage([Member(**item) for item in items], cursor)

    async def set_role(self, workspace_id: str, user_id: str, wanted: NewRole, actor: Actor) -> Member:
        """Give a member another role; raises NotFound, and HttpError (409) for the last owner."""
        async with self._pool.acquire() as connection, connection.transaction():
            member = await _locked_member(connection, workspace_id, user_id)
            await _SQL.set_role(connection, workspace_id=workspace_id, user_id=user_id, role=wanted.role)
            if member.role == "owner":
                await require_owner(connection, workspace_id)
            if member.role != wanted.role:
                await _record_member(connection, workspace_id, "updated", user_id, role=wanted.role, actor=actor)
        await self._changes.announce({user_id})
        return msgspec.structs.replace(member, role=wanted.role)

    async def remove_member(self, workspace_id: str, user_id: str, actor: Actor) -> None:
        """End a membership; raises NotFound, and HttpError (409) for the last owner."""
        async with self._pool.acquire() as connection, connection.transaction():
            member = await _locked_member(connection, workspace_id, user_id)
            await _SQL.remove_member(connection, workspace_id=workspace_id, user_id=user_id)
            if member.role == "owner":
                await require_owner(connection, workspace_id)
            await _record_member(connection, workspace_id, "deleted", user_id, role=member.role, actor=actor)
        await self._changes.announce({user_id})

    async def _member_ids(self, workspace_id: str) -> set[str]:
        return {row["user_id"] async for row in _SQL.member_ids(self._pool, workspace_id=workspace_id)}


async def _locked_member(connection: asyncpg.Connection, workspace_id: str, user_id: str) -> Member:
    """Return a member, with their workspace locked; raises NotFound."""
    await _SQL.lock_workspace(connection, id=workspace_id)
    known = is_id(user_id)
    row = known and await _SQL.find_member(connection, workspace_id=workspace_id, user_id=user_id)
    if not row:
        raise NotFound("there is no such member")
    return Member(**dict(row))


async def _record(
    connection: asyncpg.Connection, workspace_id: str, action: str, actor: Actor, details: Details | None = None
) -> None:
    await record_in(
        connection, workspace_id, action, resource="workspaces", record_id=workspace_id, actor=actor, details=details
    )


async def _record_member(  # noqa: PLR0913  (what the event says)
    connection: asyncpg.Connection, workspace_id: str, action: str, user_id: str, *, role: Role, actor: Actor
) -> None:
    details = {"role": role}
    await record_in(
        connection, workspace_id, action, resource="members", record_id=user_id, actor=actor, details=details
    )


def _no_workspace() -> NotFound:
    return NotFound("there is no such workspace")
