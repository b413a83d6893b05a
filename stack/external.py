"""Checks servers that somebody else runs, and says what is wrong without giving a password away."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
from redis.exceptions import RedisError

from stack import probes
from stack.errors import StackError


def shown_address(variable: str, url: str) -> str:
    """Return the `host:port` of the URL that the variable holds; raise `StackError` when it is no URL of a server.

    The parser's own complaint may contain a part of the password, so it is not passed on.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise StackError(f"{variable} is not the URL of a server (a password with special characters must be encoded)")
    return f"{host}:{port}" if port else host


async def require_redis(url: str) -> None:
    """Raise `StackError` unless the server answers."""
    address = shown_address("REDIS_URL", url)
    try:
        await probes.check_redis(url)
    except (OSError, RedisError, ValueError) as error:
        raise StackError(f"REDIS_URL: the server {address} does not let us in: {_reason(error)}") from error


async def require_postgres(url: str) -> None:
    """Raise `StackError` unless the server and the database in it answer."""
    address = shown_address("DATABASE_URL", url)
    try:
        await probes.check_postgres(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StackError(f"DATABASE_URL: the server {address} does not let us in: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {probes.PROBE_TIMEOUT_S:g} s"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
