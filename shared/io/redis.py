"""Connections to Redis or Valkey, with the limits that keep a dead server from holding a caller for ever."""

from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SOCKET_TIMEOUT_S = 10.0
"""Longer than any blocking read that Muster makes."""


class _Connection(Connection):
    """Packs commands in C: redis-py does so in its blocking client only, and an append has a thousand arguments."""

    def pack_command(self, *args: Any) -> list[bytes]:  # noqa: ANN401  (what Redis takes)
        command, *arguments = args
        # redis-py names some commands in two words, which the server wants apart
        words = command.split() if isinstance(command, (str, bytes)) else [command]
        return [hiredis.pack_command((*words, *arguments))]


def open_redis(redis_url: str, *, connections: int = 32) -> Redis:
    """Return a client with a bounded pool; it connects at its first command and never retries by itself.

    Whether a command may be repeated is known only to the caller.
    """
    pool = BlockingConnectionPool.from_url(
        redis_url,
        connection_class=_Connection,
        max_connections=connections,
        timeout=SOCKET_TIMEOUT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=3.0,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
