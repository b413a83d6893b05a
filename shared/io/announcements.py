"""Hearing what other processes announce on channels of Redis, over any number of connections, until told to end."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_MESSAGE_TIMEOUT_S = 5.0
_CANCEL_AGAIN_S = 0.2

log = structlog.get_logger(__name__)


async def listen(
    redis: Redis,
    channels: Collection[str | bytes],
    *,
    begun: Callable[[], Awaitable[None]],
    heard: Callable[[Mapping[str, Any]], Awaitable[None]],
    pause_s: float,
) -> None:
    """Give each message to `heard`, for ever; `begun` comes first on each connection, for what was missed before it.

    A Redis that does not answer is logged, and asked again after a pause.
    """
    while True:
        try:
            async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(*channels)
                await begun()
                while True:
                    message = await subscription.get_message(timeout=_MESSAGE_TIMEOUT_S)
                    if message is not None:
                        await heard(message)
        except (RedisError, OSError) as error:
            log.warning("announcements are not heard", channel=_name(channels), reason=repr(error))
            await asyncio.sleep(pause_s)


async def cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """End tasks that listen, and return once they have ended."""
    while pending := [task for task in tasks if not task.done()]:
        # more than once: redis-py's wait_for may swallow a cancellation, https://bugs.python.org/issue37658
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)


def _name(channels: Collection[str | bytes]) -> str:
    first = next(iter(channels))
    return first.decode() if isinstance(first, bytes) else first
