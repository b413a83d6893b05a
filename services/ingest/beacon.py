"""Tells the sweeper that ingest is there: silence of agents means nothing while nobody could have heard them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files

import structlog
from redis.asyncio import Redis

from shared.io.faults import as_retry_later
from shared.names import INGEST_ABSENT_AFTER_MS, INGEST_HEARD, INGEST_LEFT, INGEST_PRESENCE, INGEST_RETURNED

BEAT_INTERVAL_S = 1.0
BEATS_KEPT_MS = 600_000
CHECK_TIMEOUT_S = 2.0

log = structlog.get_logger(__name__)
_BEAT, _LEAVE = (files(__package__).joinpath(f"{name}.lua").read_text() for name in ("beat", "leave"))


class Beacon:
    """One replica's sign of life, each second by the Redis server's time.

    `check` raises while this replica could not take messages in. Set `heard` whenever it has taken one in.
    """

    def __init__(self, redis: Redis, check: Callable[[], Awaitable[object]]) -> None:
        self.replica = secrets.token_hex(8)
        self.heard = False
        self._redis = redis
        self._check = check
        self._beats = True

    async def run(self, drained: asyncio.Event) -> None:
        """Beat until `drained` is set, then take leave. What Redis or PostgreSQL cannot do now is tried again."""
        while not drained.is_set():
            await self._try(self.beat)
            with suppress(TimeoutError):
                await asyncio.wait_for(drained.wait(), BEAT_INTERVAL_S)
        await self._try(self._take_leave)

    async def beat(self) -> None:
        """Say once that this replica lives, provided that it could take messages in."""
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await self._check()
        heard, self.heard = self.heard, False
        keys = (INGEST_PRESENCE, INGEST_RETURNED, INGEST_HEARD)
        arguments = (self.replica, "1" if heard else "0", str(INGEST_ABSENT_AFTER_MS), str(BEATS_KEPT_MS))
        await self._redis.eval(_BEAT, len(keys), *keys, *arguments)  # type: ignore[misc]  # redis-py types it for both of its clients

    async def _take_leave(self) -> None:
        await self._redis.eval(_LEAVE, 2, INGEST_PRESENCE, INGEST_LEFT, self.replica)  # type: ignore[misc]  # likewise

    async def _try(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except Exception as error:
            if as_retry_later(error) is None:
                raise
            if self._beats:
                log.warning("this replica cannot say that it lives", error=repr(error))
            self._beats = False
        else:
            self._beats = True
