"""First steps of a new database, after the migrations: a workspace, its administrator, a signing key.

`python -m services.api.setup` may be run at every start, also by several at once. It prints no secret.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import asyncpg
import msgspec
from msgspec import field

from services.api.passwords import MAX_PASSWORD_CHARACTERS, hash_password, matches
from shared.audit import INSTALLATION, SETUP, Details, Event
from shared.io.audit import record
from shared.io.database.pool import connect
from shared.io.database.queries import queries
from shared.io.signing_keys import rotate_signing_key
from shared.names import new_id
from shared.settings import BadSetting, load

FIRST_WORKSPACE = "Default"


class Administrator(msgspec.Struct, frozen=True):
    """Who administers the first workspace; the password may be left out once they exist."""

    database_url: str = field(name="DATABASE_URL")
    email: str = field(name="MUSTER_ADMIN_EMAIL", default="admin@localhost")
    password: str = field(name="MUSTER_ADMIN_PASSWORD", default="")


async def set_up(settings: Administrator) -> None:
    """Create what is missing, and give the administrator the password of the settings; all of it is audited.

    Raises BadSetting for a new administrator without a password, and the errors of asyncpg.
    """
    if len(settings.password) > MAX_PASSWORD_CHARACTERS:
        raise BadSetting(f"MUSTER_ADMIN_PASSWORD has more than {MAX_PASSWORD_CHARACTERS} characters")
    connection = await connect(settings.database_url)
    try:
        async with connection.transaction():
            await queries("setup").one_at_a_time(connection)
            done: list[Event] = []
            workspace_id = await _workspace(connection, done)
            user_id = await _administrator(connection, settings, done)
            if await queries("setup").add_owner(connection, workspace_id=workspace_id, user_id=user_id):
                done.append(_event("created", "members", user_id, {"role": "owner", "workspace_id": workspace_id}))
            await _signing_key(connection, done)
            await record(connection, done)
    finally:
        await connection.close()


def _event(action: str, resource: str, record_id: str, details: Details | None = None) -> Event:
    return Event(
        workspace_id=INSTALLATION,
        at=datetime.now(UTC),
        actor=SETUP.id,
        action=action,
        resource=resource,
        record_id=record_id,
        origin=SETUP.origin,
        details=details or {},
    )


async def _workspace(connection: asyncpg.Connection, done: list[Event]) -> str:
    existing: str | None = await queries("setup").first_workspace(connection)
    if existing is not None:
        return existing
    workspace_id = new_id("w")
    await queries("setup").add_workspace(connection, id=workspace_id, name=FIRST_WORKSPACE)
    done.append(_event("created", "workspaces", workspace_id, {"name": FIRST_WORKSPACE}))
    return workspace_id


async def _administrator(connection: asyncpg.Connection, settings: Administrator, done: list[Event]) -> str:
    existing = await queries("setup").find_user(connection, email=settings.email)
    if existing is None:
        if not settings.password:
            raise BadSetting("MUSTER_ADMIN_PASSWORD is not set")
        user_id = new_id("u")
        password_hash = hash_password(settings.password)
        await queries("setup").add_administrator(
            connection, id=user_id, email=settings.email, password_hash=password_hash
        )
        done.append(_event("created", "users", user_id, {"is_admin": True}))
        return user_id
    user_id = str(existing["id"])
    if await queries("setup").make_administrator(connection, id=user_id):
        done.append(_event("updated", "users", user_id, {"is_admin": True}))
    if settings.password and not matches(settings.password, existing["password_hash"]):
        password_hash = hash_password(settings.password)
        await queries("setup").set_password(connection, id=user_id, password_hash=password_hash)
        await queries("setup").end_sessions(connection, user_id=user_id)
        done.append(_event("password_changed", "users", user_id))
    return user_id


async def _signing_key(connection: asyncpg.Connection, done: list[Event]) -> None:
    if not await queries("setup").has_signing_key(connection):
        done.append(_event("created", "signing_keys", await rotate_signing_key(connection)))


def main(environment: Mapping[str, str]) -> int:
    """Run `set_up` and return the exit code; what is wrong is one line on stderr."""
    try:
        settings = load(Administrator, environment)
        # a password is taken as it stands, spaces and all
        settings = msgspec.structs.replace(settings, password=environment.get("MUSTER_ADMIN_PASSWORD", ""))
        asyncio.run(set_up(settings))
    except BadSetting as error:
        sys.stderr.write(f"setup: {error}\n")
        return 2
    except (OSError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"setup: the database does not answer as it should: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
