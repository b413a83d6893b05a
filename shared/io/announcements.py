"""Saying to all processes that something has changed, and hearing it, so that no replica goes on with what is old.

An announcement may be lost: whoever listens also looks again by itself from time to time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection

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
            while not listening.done():
                # more than once: redis-py's wait_for may swallow a cancellation, https://bugs.python.org/issue37658
                listening.cancel()
                await asyncio.wait([listening], timeout=_CANCEL_AGAIN_S)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(self._channel)
                    await self._heard(None)  # for what was announced before
                    while True:
                        message = await channel.get_message(timeout=_MESSAGE_TIMEOUT_S)
                        if message is not None:
                            await self._heard(frozenset(msgspec.json.decode(message["data"], type=list[str])))
            except (RedisError, OSError) as error:
                log.warning("changes are not heard", channel=self._channel, reason=repr(error))
                await asyncio.sleep(_LISTEN_PAUSE_S)
