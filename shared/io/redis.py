"""Connections to Redis or Valkey, with the limits that keep a dead server from holding a caller for ever."""

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

SOCKET_TIMEOUT_S = 10.0
"""Longer than any blocking read that Muster makes."""


class _Connection(Connection):
    """A connection that a command leaves by at once.

    redis-py packs in C in its blocking client only, and an append has a thousand arguments. It also lets the event
    loop turn before a command, to see whether the connection is clean and to bound the write in time: in a busy
    process a turn takes milliseconds, in which the server would stand idle.
    """

    def pack_command(self, *args: Any) -> list[bytes]:  # noqa: ANN401  (what Redis takes)
        command, *arguments = args
        # redis-py names some commands in two words, which the server wants apart
        words = command.split() if isinstance(command, (str, bytes)) else [command]
        return [hiredis.pack_command((*words, *arguments))]

    async def can_read_destructive(self) -> bool:
        # asked by the pool; an answer that nobody waits for cannot be here: who stops waiting disconnects
        return self._reader is None or self._reader.at_eof()

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002  (redis-py's form)
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it so
        parts = (
            [command.encode() if isinstance(command, str) else command]
            if isinstance(command, (str, bytes))
            else command
        )
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(parts)
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("the server takes nothing in") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"cannot write to the server: {error}") from error
        except BaseException:
            # half a command may be on its way
            await self.disconnect(nowait=True)
            raise


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
