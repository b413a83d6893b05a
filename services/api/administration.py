"""What is done about users and keys on the server's command line: `python -m services.api.administration`.

`muster user` and `muster keys` lead here. Passwords come from a prompt, or from the first line of a standard input that
is no terminal; never from the command line, which others on the machine can see.
"""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import msgspec
from redis.asyncio import Redis

from services.api.passwords import NewPassword, Passwords, require_good_password
from services.api.users import NewUser, Users
from shared.audit import COMMAND_LINE, INSTALLATION
from shared.errors import AlreadyExists, Malformed, MusterError, NotFound
from shared.io.audit import record_account, record_in
from shared.io.database.pool import create_pool
from shared.io.database.queries import queries
from shared.io.identity_changes import IdentityChanges
from shared.io.redis import open_redis
from shared.io.signing_keys import rotate_signing_key
from shared.settings import BadSetting, Servers, load
from shared.validation import fault_in

INTERRUPTED = 130
_Checked = TypeVar("_Checked", bound=msgspec.Struct)


class _Password(msgspec.Struct):
    password: NewPassword


class Administration:
    """Acts on the database of an installation, and lets its processes know."""

    def __init__(self, pool: asyncpg.Pool, redis: Redis) -> None:
        self._pool = pool
        self._changes = IdentityChanges(redis, _nothing)
        self._passwords = Passwords()
        self._users = Users(pool, self._changes, self._passwords)

    async def add_user(self, email: str, password: str, *, is_admin: bool) -> str:
        """Create a user and return what to say; raises AlreadyExists, and MusterError for what is no good."""
        if await queries("accounts").find_user(self._pool, email=email) is not None:
            raise AlreadyExists(f"there is a user {email}")
        wanted = _checked(NewUser, email=email, password=password, is_admin=is_admin)
        user = await self._users.add(wanted, COMMAND_LINE)
        return f"{user.email} may sign in{' and administers this installation' if is_admin else ''}"

    async def set_password(self, email: str, password: str) -> str:
        """Give a user another password and end their sessions; raises NotFound, and MusterError for a bad one."""
        user = await queries("accounts").find_user(self._pool, email=email)
        if user is None:
            raise NotFound(f"there is no user {email}")
        _checked(_Password, password=password)
        require_good_password(password, user["email"], "password")
        password_hash = await self._passwords.hash(password)
        async with self._pool.acquire() as connection, connection.transaction():
            await queries("accounts").set_password(connection, id=user["id"], password_hash=password_hash)
            await queries("users").end_sessions(connection, user_id=user["id"])
            actor, origin = COMMAND_LINE.id, COMMAND_LINE.origin
            await record_account(connection, "password_changed", user_id=user["id"], actor=actor, origin=origin)
        await self._changes.announce({user["id"]})
        return f"{user['email']} has another password, and is signed out everywhere"

    async def list_users(self) -> str:
        """Return a line for each user: the address, the id, and what is special about them."""
        return "\n".join([_line(row) async for row in queries("administration").list_users(self._pool)])

    async def rotate_keys(self) -> str:
        """Sign with a new key from now on; who is signed in stays so."""
        async with self._pool.acquire() as connection, connection.transaction():
            key_id = await rotate_signing_key(connection)
            await record_in(
                connection, INSTALLATION, "created", resource="signing_keys", record_id=key_id, actor=COMMAND_LINE
            )
        return f"{key_id} signs from now on; what was signed before stays good until it ends"


async def _nothing(user_ids: frozenset[str] | None) -> None:
    """Remember nothing of users, and so forget nothing."""


def _line(user: Mapping[str, Any]) -> str:
    remarks = [word for word, holds in (("administrator", user["is_admin"]), ("disabled", user["disabled"])) if holds]
    return "  ".join([user["email"], user["id"], *remarks])


def _checked(kind: type[_Checked], **fields: object) -> _Checked:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise Malformed(": ".join(filter(None, fault_in(error)))) from error


def read_new_password() -> str:
    """Ask for a password twice at a terminal, else take the first line of the standard input; raises Malformed."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("Once more: ") != password:
        raise Malformed("these are two different passwords")
    return password


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = argparse.ArgumentParser(prog="python -m services.api.administration")
    commands = root.add_subparsers(dest="subject", required=True)
    user = commands.add_parser("user").add_subparsers(dest="action", required=True)
    add = user.add_parser("add")
    add.add_argument("email")
    add.add_argument("--admin", action="store_true")
    user.add_parser("passwd").add_argument("email")
    user.add_parser("list")
    commands.add_parser("keys").add_subparsers(dest="action", required=True).add_parser("rotate")
    return root


async def _perform(given: argparse.Namespace, servers: Servers, password: str) -> str:
    async with _administration(servers) as administration:
        match given.subject, given.action:
            case "user", "add":
                return await administration.add_user(given.email, password, is_admin=given.admin)
            case "user", "passwd":
                return await administration.set_password(given.email, password)
            case "user", "list":
                return await administration.list_users()
            case _:
                return await administration.rotate_keys()


@asynccontextmanager
async def _administration(servers: Servers) -> AsyncIterator[Administration]:
    pool, redis = await create_pool(servers.database_url, size=1), open_redis(servers.redis_url)
    try:
        yield Administration(pool, redis)
    finally:
        await redis.aclose()
        await pool.close()


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the arguments say and return the exit code; what is wrong is one line on stderr."""
    given = parser().parse_args(arguments)
    try:
        servers = load(Servers, environment)
        # before the event loop runs, which would keep Ctrl-C from the prompt
        password = read_new_password() if given.action in {"add", "passwd"} else ""
        said = asyncio.run(_perform(given, servers, password))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BadSetting as error:
        return _complain(str(error), 2)
    except MusterError as error:
        return _complain(str(error), 1)
    except (OSError, asyncpg.PostgresError) as error:
        return _complain(f"the database does not answer as it should: {error}", 1)
    sys.stdout.write(f"{said}\n" if said else "")
    return 0


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"muster: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
