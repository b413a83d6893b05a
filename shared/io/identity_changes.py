"""Saying and hearing whose logins, API tokens or memberships have changed, so that no replica goes on with old ones.

An announcement that is lost costs time only: every process also looks the logins up again after `LOGIN_MEMORY_S`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.io.announcements import cancel, listen
from shared.io.telemetry import Counter
from shared.names import IDENTITY_CHANGES

ANNOUNCED_WITHIN_S = 1.0
"""How long an announcement may keep the answer to a request waiting."""

_LISTEN_PAUSE_S = 0.25

_UNHEARD = Counter("muster_identity_changes_unannounced_total", "Changes of logins that could not be announced")

log = structlog.get_logger(__name__)

Heard = Callable[[frozenset[str] | None], Awaitable[None]]
"""What is done with the ids of the users who have changed; with None when that may be all, for some were missed."""


class IdentityChanges:
    """Makes announcements and hears those of all processes; `run` is a background task of the process."""

    def __init__(self, redis: Redis, heard: Heard) -> None:
        self._redis = redis
        self._heard = heard

    async def announce(self, user_ids: Collection[str]) -> None:
        """Say that the logins, tokens or memberships of these users have changed; to be called after the commit.

        This process has heard it when that returns. A Redis that does not answer is logged and counted, no more: what
        has changed has changed.
        """
        if not user_ids:
            return
        await self._heard(frozenset(user_ids))
        try:
            async with asyncio.timeout(ANNOUNCED_WITHIN_S):
                await self._redis.publish(IDENTITY_CHANGES, msgspec.json.encode(sorted(user_ids)))
        except (RedisError, OSError) as error:  # TimeoutError is one of the latter
            _UNHEARD.inc()
            log.warning("a change of logins was not announced", reason=repr(error))

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

        await listen(self._redis, [IDENTITY_CHANGES], begun=begun, heard=heard, pause_s=_LISTEN_PAUSE_S)
