"""The users of an installation, as its administrators manage them."""

from datetime import datetime
from typing import Annotated

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.api.paging import PageQuery, read_page
from services.api.passwords import NewPassword, Passwords, require_good_password
from services.api.workspaces import require_owner
from shared.audit import Actor
from shared.errors import AlreadyExists, NotFound
from shared.io.audit import record_account
from shared.io.database.queries import queries
from shared.io.identity_changes import IdentityChanges
from shared.io.problem import HttpError
from shared.names import is_id, new_id
from shared.validation import form

# what is white space is not the same to all who read regular expressions
Email = Annotated[
    str,
    Meta(min_length=3, max_length=254),
    form(r"^[^@\s\x00-\x1f\x85\ufeff]+@[^@\s\x00-\x1f\x85\ufeff]+$(?!\n)", "an e-mail address"),
]
"""Whether a message would arrive there is not looked into."""

_SQL = queries("users")


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user to be created, who is a member of nothing yet."""

    email: Email
    password: NewPassword
    is_admin: bool = False


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change of a user."""

    is_admin: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class User(msgspec.Struct, frozen=True):
    """A user as administrators see them; one who is disabled cannot sign in, nor can their API tokens."""

    id: str
    email: str
    is_admin: bool
    disabled: bool
    created_at: datetime


class UserPage(msgspec.Struct, frozen=True):
    """Part of the list of users, by e-mail address; `next_cursor` is null on the last page."""

    items: list[User]
    next_cursor: str | None


class Users:
    """Keeps the users."""

    def __init__(self, pool: asyncpg.Pool, changes: IdentityChanges, passwords: Passwords) -> None:
        self._pool = pool
        self._changes = changes
        self._passwords = passwords

    async def page(self, query: PageQuery) -> UserPage:
        """Return a page of the list."""
        items, cursor = await read_page(query, _SQL.list_users(self._pool, **query.arguments))
        return UserPage([User(**item) for item in items], cursor)

    async def read(self, user_id: str) -> User:
        """Return a user; raises NotFound."""
        row = await _SQL.find_user(self._pool, id=_known(user_id))
        if row is None:
            raise _unknown()
        return User(**dict(row))

    async def add(self, wanted: NewUser, actor: Actor) -> User:
        """Create a user; raises AlreadyExists when the e-mail address is taken, HttpError for a bad password."""
        require_good_password(wanted.password, wanted.email, "password")
        password_hash = await self._passwords.hash(wanted.password)
        async with self._pool.acquire() as connection, connection.transaction():
            row = await _SQL.add_user(
                connection, id=new_id("u"), email=wanted.email, password_hash=password_hash, is_admin=wanted.is_admin
            )
            if row is None:
                raise AlreadyExists("there is a user with this e-mail address", field="email")
            details = {"is_admin": wanted.is_admin}
            await record_account(
                connection, "created", user_id=row["id"], actor=actor.id, origin=actor.origin, details=details
            )
        return User(**dict(row))

    async def change(self, user_id: str, wanted: UserChange, actor: Actor) -> User:
        """Change a user; to disable them ends their sessions. Raises NotFound, HttpError (409)."""
        given = {name: None if value is UNSET else value for name, value in msgspec.structs.asdict(wanted).items()}
        async with self._pool.acquire() as connection, connection.transaction():
            await _SQL.lock_administrators(connection)
            before = await _SQL.find_user(connection, id=_known(user_id))
            row = before and await _SQL.change_user(connection, id=user_id, **given)
            if not row:
                raise _unknown()
            if wanted.disabled is True:
                await _SQL.end_sessions(connection, user_id=user_id)
            await _require_administrator(connection)
            details = {name: row[name] for name in given if row[name] != before[name]}
            if details:
                await record_account(
                    connection, "updated", user_id=user_id, actor=actor.id, origin=actor.origin, details=details
                )
        await self._changes.announce({user_id})
        return User(**dict(row))

    async def delete(self, user_id: str, actor: Actor) -> None:
        """Delete a user with all that is theirs alone; what they have written in workspaces stays.

        Raises NotFound, and HttpError (409) for the last administrator and for the last owner of a workspace.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await _SQL.lock_administrators(connection)
            if await _SQL.lock_user(connection, id=_known(user_id)) is None:
                raise _unknown()
            held = [row async for row in _SQL.lock_workspaces_of(connection, user_id=user_id)]
            await _SQL.delete_user(connection, id=user_id)
            await _require_administrator(connection)
            for row in held:
                if row["role"] == "owner":
                    await require_owner(connection, row["id"])
            await record_account(
                connection,
                "deleted",
                user_id=user_id,
                actor=actor.id,
                origin=actor.origin,
                workspace_ids=[row["id"] for row in held],
            )
        await self._changes.announce({user_id})


async def _require_administrator(connection: asyncpg.Connection) -> None:
    if not await _SQL.has_administrator(connection):
        raise HttpError(409, "last_administrator", "an installation must have an administrator who can sign in")


def _known(user_id: str) -> str:
    if not is_id(user_id):
        raise _unknown()
    return user_id


def _unknown() -> NotFound:
    return NotFound("there is no such user")
