"""Which errors of Redis and PostgreSQL pass by themselves, so that the caller is told to come again."""

import asyncpg
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import RetryLater

# connection exception, transaction rollback, insufficient resources, operator intervention:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING_SQLSTATES = ("08", "40", "53", "57")

LOST_CONNECTION = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises, besides errors that the server itself names, once a connection is gone.

InternalClientError among them: that is what a command gets that begins after the server's farewell has come in, and
before the connection is found closed.
"""

_PASSING = (*LOST_CONNECTION, RedisConnectionError, RedisTimeoutError, ReadOnlyError, OutOfMemoryError)


def as_retry_later(error: Exception) -> RetryLater | None:
    """Return what to tell a caller whose request failed with `error`; None when it is no passing fault."""
    if isinstance(error, RetryLater):
        return error
    if isinstance(error, asyncpg.PostgresError):
        passing = str(error.sqlstate or "").startswith(_PASSING_SQLSTATES)
    else:
        passing = isinstance(error, _PASSING)
    # what it says is for our log: it may name hosts
    return RetryLater("a server that this one needs does not answer", retry_after_s=2) if passing else None
