"""Looks things up by key, many with one query: while one is under way, others wait for the next. Remembers a while."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import structlog

from shared.errors import Overloaded, RetryLater
from shared.expiring import ExpiringMemory
from shared.io.faults import as_retry_later

MEMORY_S = 5.0
"""How long what was found is taken to be so still, where a change of it was not heard of."""

UNKNOWN_MEMORY_S = 1.0
"""How long what was not found is not looked for again."""

MAX_REMEMBERED = 50_000
MAX_REMEMBERED_UNKNOWN = 10_000
MAX_LOOKED_UP_AT_ONCE = 1_000
MAX_WAITING = 10_000

log = structlog.get_logger(__name__)

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class _Unavailable:
    """Stands for what cannot be told now."""


class Gathering(Generic[_Key, _Value]):
    """Asks for many keys at once: while one query is under way, others wait for the next.

    `query` gets up to `MAX_LOOKED_UP_AT_ONCE` keys and gives what there is of them.
    """

    def __init__(self, query: Callable[[list[_Key]], Awaitable[Mapping[_Key, _Value]]]) -> None:
        self._query = query
        self._waiting: dict[_Key, asyncio.Future[_Value | _Unavailable | None]] = {}
        self._answering: asyncio.Task[None] | None = None

    async def get(self, key: _Key) -> _Value | None:
        """Return what there is; raises Overloaded, and RetryLater while it cannot be told."""
        future = self._waiting.get(key)
        if future is None:
            if len(self._waiting) >= MAX_WAITING:
                raise Overloaded("too many credentials wait to be looked up")
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer())
        found = await asyncio.shield(future)  # shielded: another may wait for the same key
        if isinstance(found, _Unavailable):
            raise RetryLater("credentials cannot be looked up now", retry_after_s=2)
        return found

    async def _answer(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:MAX_LOOKED_UP_AT_ONCE]
            try:
                found: Mapping[_Key, _Value | _Unavailable] = await self._query(keys)
            except Exception as error:
                log.warning("credentials cannot be looked up", exc_info=None if as_retry_later(error) else error)
                found = dict.fromkeys(keys, _Unavailable())
            for key in keys:
                self._waiting.pop(key).set_result(found.get(key))


class Lookups(Generic[_Key, _Value]):
    """Gathers, and remembers for a while what there is and what there is not."""

    def __init__(
        self,
        query: Callable[[Sequence[_Key]], Awaitable[Mapping[_Key, _Value]]],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._query = query
        self._forgotten = 0
        self._gathering = Gathering(self._look)
        self._known: ExpiringMemory[_Key, _Value] = ExpiringMemory(
            capacity=MAX_REMEMBERED, lifetime_s=MEMORY_S, clock=clock
        )
        self._unknown: ExpiringMemory[_Key, bool] = ExpiringMemory(
            capacity=MAX_REMEMBERED_UNKNOWN, lifetime_s=UNKNOWN_MEMORY_S, clock=clock
        )

    async def get(self, key: _Key) -> _Value | None:
        """Return what there is; raises Overloaded, and RetryLater while it cannot be told."""
        known = self._known.get(key)
        if known is not None or self._unknown.get(key):
            return known
        return await self._gathering.get(key)

    def forget(self, is_meant: Callable[[_Value], bool]) -> None:
        """Look up again, when it is next asked for, what was found and of which that is true."""
        self._forgotten += 1
        self._known.forget_where(is_meant)

    async def _look(self, keys: list[_Key]) -> Mapping[_Key, _Value]:
        forgotten = self._forgotten
        found = await self._query(keys)
        for key in keys:
            value = found.get(key)
            if value is None:
                self._unknown.store(key, True)  # noqa: FBT003  (a set with a time)
            elif forgotten == self._forgotten:  # else it may have been read before what was forgotten has changed
                self._known.store(key, value)
        return found
