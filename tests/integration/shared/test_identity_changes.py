"""Whose logins have changed is heard by all who listen, and whoever may have missed it takes it for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from shared.io.identity_changes import IdentityChanges
from shared.io.redis import open_redis

Heard = asyncio.Queue[frozenset[str] | None]


@asynccontextmanager
async def listener(redis: Redis) -> AsyncIterator[Heard]:
    """Give what a process hears, from when it listens."""
    heard, ending = Heard(), asyncio.Event()
    changes = IdentityChanges(redis, heard.put)
    async with asyncio.TaskGroup() as group:
        group.create_task(changes.run(ending))
        assert await following(heard) is None
        yield heard
        ending.set()


async def following(heard: Heard) -> frozenset[str] | None:
    async with asyncio.timeout(5):
        return await heard.get()


async def test_all_processes_hear_who_has_changed(empty_redis: Redis) -> None:
    own = Heard()
    async with listener(empty_redis) as here, listener(empty_redis) as there:
        await IdentityChanges(empty_redis, own.put).announce({"u_2", "u_1"})
        expected = frozenset({"u_1", "u_2"})
        assert [expected, expected, expected] == [own.get_nowait(), await following(here), await following(there)]


async def test_what_was_missed_counts_as_a_change_of_all(empty_redis: Redis) -> None:
    async with listener(empty_redis) as heard:
        await empty_redis.client_kill_filter(_type="pubsub")
        assert await following(heard) is None
        await IdentityChanges(empty_redis, Heard().put).announce({"u_1"})
        assert frozenset({"u_1"}) == await following(heard)


async def test_a_redis_that_is_away_keeps_nobody_from_changing_something() -> None:
    own, redis = Heard(), open_redis("redis://127.0.0.1:1")
    await IdentityChanges(redis, own.put).announce({"u_1"})
    await redis.aclose()
    assert frozenset({"u_1"}) == own.get_nowait()
