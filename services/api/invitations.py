"""Invitations: with one, somebody becomes a member. The token is shown once and stored as its SHA-256."""

import secrets
from datetime import datetime
from typing import Annotated

import asyncpg
import msgspec
from msgspec import Meta

from services.api.paging import PageQuery, read_page
from services.api.passwords import NewPassword, Passwords, require_good_password
from services.api.permissions import Caller
from services.api.users import Email
from services.api.workspaces import Workspace
from shared.audit import Actor, Details, Origin
from shared.errors import NotFound, Rejected, Unauthenticated
from shared.io.audit import record_account, record_in
from shared.io.database.queries import queries
from shared.io.identity_changes import IdentityChanges
from shared.names import is_id, new_id
from shared.tokens import Principal, Role, hash_token

MAX_INVITATIONS = 1000
"""How many invitations to a workspace may wait to be accepted."""

_DAY_S = 24 * 3600
_SQL = queries("invitations")


class NewInvitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is invited, what they shall be, and for how long (seconds from now)."""

    email: Email
    role: Role
    expires_in_s: Annotated[int, Meta(ge=60, le=30 * _DAY_S)] = 7 * _DAY_S


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as it is known afterwards."""

    id: str
    email: str
    role: Role
    created_by: str | None
    created_at: datetime
    expires_at: datetime


class ShownInvitation(Invitation, frozen=True, kw_only=True):
    """An invitation as it is shown once."""

    token: str


class InvitationPage(msgspec.Struct, frozen=True):
    """Part of the list of invitations, the newest first; `next_cursor` is null on the last page."""

    items: list[Invitation]
    next_cursor: str | None


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token of an invitation. `password` is left out by who is signed in as the one who is invited.

    Otherwise it is that of the user who is invited, or the one that they choose if they are no user yet.
    """

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    password: NewPassword | None = None


class Joined(msgspec.Struct, frozen=True):
    """Who has become a member, and of what."""

    user_id: str
    email: str
    workspace: Workspace


class Invitations:
    """Keeps invitations, and lets in who accepts one."""

    def __init__(self, pool: asyncpg.Pool, changes: IdentityChanges, passwords: Passwords) -> None:
        self._pool = pool
        self._changes = changes
        self._passwords = passwords

    async def add(self, caller: Caller, wanted: NewInvitation, origin: Origin) -> ShownInvitation:
        """Invite somebody, whether or not they are a user; raises Rejected when there are too many invitations."""
        token = f"mi_{secrets.token_urlsafe(32)}"
        await _SQL.forget_invitations(self._pool, workspace_id=caller.workspace_id)
        async with self._pool.acquire() as connection, connection.transaction():
            row = await _SQL.add_invitation(
                connection,
                id=new_id("i"),
                workspace_id=caller.workspace_id,
                email=wanted.email,
                role=wanted.role,
                token_hash=hash_token(token),
                created_by=caller.user_id,
                expires_in_s=wanted.expires_in_s,
                most=MAX_INVITATIONS,
            )
            if row is None:
                raise Rejected(f"a workspace has at most {MAX_INVITATIONS} invitations", code="too_many")
            actor = Actor(caller.user_id, origin)
            details = {"role": wanted.role}
            await _record(connection, caller.workspace_id, "created", row["id"], actor=actor, details=details)
        return ShownInvitation(token=token, **dict(row))

    async def page(self, workspace_id: str, query: PageQuery) -> InvitationPage:
        """Return a page of the invitations to a workspace that can be accepted."""
        rows = _SQL.list_invitations(self._pool, workspace_id=workspace_id, **query.arguments)
        items, cursor = await read_page(query, rows)
        return InvitationPage([Invitation(**item) for item in items], cursor)

    async def delete(self, workspace_id: str, invitation_id: str, actor: Actor) -> None:
        """Take an invitation back; raises NotFound."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = is_id(invitation_id) and await _SQL.delete_invitation(
                connection, workspace_id=workspace_id, id=invitation_id
            )
            if not known:
                raise _unknown()
            await _record(connection, workspace_id, "deleted", invitation_id, actor=actor)

    async def email_of(self, token: str) -> str:
        """Return the address that an invitation is for; raises NotFound when it is unknown, over or used up."""
        row = await _SQL.find_invitation(self._pool, token_hash=hash_token(token))
        if row is None:
            raise _unknown()
        return str(row["email"])

    async def accept(self, token: str, password: str, origin: Origin) -> Joined:
        """Let in who has the token and the password of who is invited; it makes a user of who is none.

        Raises NotFound as `email_of` does, Unauthenticated for a wrong password, and HttpError for one too easy.
        """
        email = await self.email_of(token)
        require_good_password(password, email, "password")
        user = await queries("accounts").find_user(self._pool, email=email)
        if user is None:
            return await self._join(token, Actor(new_id("u"), origin), await self._passwords.hash(password))
        if not await self._passwords.verify(password, user["password_hash"]):
            raise _wrong_password()
        return await self._join(token, Actor(user["id"], origin))

    async def accept_as(self, principal: Principal, token: str, origin: Origin) -> Joined:
        """Let a user in who is signed in; raises NotFound, also when another is invited."""
        user = await queries("accounts").find_user(self._pool, email=await self.email_of(token))
        if user is None or user["id"] != principal.user_id:
            raise _unknown()
        return await self._join(token, Actor(principal.user_id, origin))

    async def _join(self, token: str, actor: Actor, password_hash: str | None = None) -> Joined:
        user_id = actor.id
        async with self._pool.acquire() as connection, connection.transaction():
            invitation = await _SQL.take_invitation(connection, token_hash=hash_token(token))
            if invitation is None:
                raise _unknown()
            await _require_user(connection, user_id, invitation["email"], password_hash)
            place = {"workspace_id": invitation["workspace_id"], "user_id": user_id}
            await queries("workspaces").add_member(connection, **place, role=invitation["role"])
            workspace = Workspace(**dict(await queries("workspaces").membership(connection, **place)))
            if password_hash is not None:
                details = {"is_admin": False}
                await record_account(connection, "created", user_id=user_id, origin=actor.origin, details=details)
            role = {"role": workspace.role}
            await _record(connection, workspace.id, "accepted", invitation["id"], actor=actor, details=role)
        await self._changes.announce({user_id})
        return Joined(user_id, invitation["email"], workspace)


async def _require_user(connection: asyncpg.Connection, user_id: str, email: str, password_hash: str | None) -> None:
    """Create the user if there is a password for them; raises Unauthenticated for who may not come in."""
    if password_hash is None:
        is_welcome = await _SQL.is_enabled(connection, user_id=user_id)
    else:
        is_welcome = await queries("users").add_user(
            connection, id=user_id, email=email, password_hash=password_hash, is_admin=False
        )
    if not is_welcome:  # disabled, or somebody has taken the address meanwhile
        raise _wrong_password()


async def _record(  # noqa: PLR0913  (what the event says)
    connection: asyncpg.Connection,
    workspace_id: str,
    action: str,
    invitation_id: str,
    *,
    actor: Actor,
    details: Details | None = None,
) -> None:
    await record_in(
        connection, workspace_id, action, resource="invitations", record_id=invitation_id, actor=actor, details=details
    )


def _unknown() -> NotFound:
    return NotFound("there is no such invitation, or it is over or used up")


def _wrong_password() -> Unauthenticated:
    return Unauthenticated("the password is wrong", code="wrong_credentials")
