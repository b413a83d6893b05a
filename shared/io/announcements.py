"""Saying to all processes that something has changed, and hearing it, so that no replica goes on with what is old.

An announcement may be lost: whoever listens also looks again by itself from time to time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.io.telemetry import Counter

ANNOUNCED_WITHIN_S = 1.0
"""How long an announcement may keep the answer to a request waiting."""

_LISTEN_PAUSE_S = 0.25
_MESSAGE_TIMEOUT_S = 5.0
_CANCEL_AGAIN_S = 0.2

_UNHEARD = Counter("muster_identity_changes_unannounced_total", "Changes of logins and agents that were not announced")

log = structlog.get_logger(__name__)

Heard = Callable[[frozenset[str] | None], Awaitable[None]]
"""What is done with the ids of what has changed; with None when that may be all, for some were missed."""


class Announcements:
    """Makes announcements on one channel and hears those of all processes; `run` is a background task."""

    def __init__(self, redis: Redis, channel: str, heard: Heard) -> None:
        self._redis = redis
        self._channel = channel
        self._heard = heard

    async def announce(self, ids: Collection[str]) -> None:
        """Say that these have changed; to be called after the commit.

        This process has heard it when that returns. A Redis that does not answer is logged and counted, no more: what
        has changed has changed.
        """
        if not ids:
            return
        await self._heard(frozenset(ids))
        try:
            async with asyncio.timeout(ANNOUNCED_WITHIN_S):
                await self._redis.publish(self._channel, msgspec.json.encode(sorted(ids)))
        except (RedisError, OSError) as error:  # TimeoutError is one of the latter
            _UNHEARD.inc()
            log.warning("a change was not announced", channel=self._channel, reason=repr(error))

    async def run(self, ending: asyncio.Event) -> None:
        """Listen until `ending`."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            await ending.wait()
            await cancel([listening])

    async def _listen(self) -> None:
        async def begun() -> None:
            await self._heard(None)  # for what was announced before

        async def heard(message: Mapping[str, Any]) -> None:
            await self._heard(frozenset(msgspec.json.decode(message["data"], type=list[str])))

        await listen(self._redis, [self._channel], begun=begun, heard=heard, pause_s=_LISTEN_PAUSE_S)


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
