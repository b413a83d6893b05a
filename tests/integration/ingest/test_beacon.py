"""The sign of life of ingest's replicas, by which the sweeper knows whether anybody could have heard."""

import asyncio

import pytest
from redis.asyncio import Redis

from services.ingest.beacon import Beacon
from shared.io.redis import open_redis
from shared.names import INGEST_ABSENT_AFTER_MS, INGEST_HEARD, INGEST_PRESENCE, INGEST_RETURNED
from tests.support.applier import until
from tests.support.ingest import Ingest


async def now_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def test_first_beat_is_a_return(ingest: Ingest) -> None:
    before_ms = await now_ms(ingest.redis)
    await ingest.beacon.beat()
    assert before_ms <= int(await ingest.redis.get(INGEST_RETURNED))
    ((replica, beat_ms),) = await ingest.redis.zrange(INGEST_PRESENCE, 0, -1, withscores=True)
    assert ingest.beacon.replica == replica.decode()
    assert before_ms <= beat_ms


async def test_beats_without_a_break_are_no_return(ingest: Ingest) -> None:
    await ingest.redis.zadd(INGEST_PRESENCE, {"other": await now_ms(ingest.redis) - 2000})
    await ingest.redis.set(INGEST_RETURNED, 5)
    await ingest.beacon.beat()
    assert 5 == int(await ingest.redis.get(INGEST_RETURNED))


@pytest.mark.parametrize("sign", [-1, 1])
async def test_beat_after_a_break_or_before_a_change_of_the_clock_is_a_return(ingest: Ingest, sign: int) -> None:
    long_ago_ms = await now_ms(ingest.redis) + sign * (INGEST_ABSENT_AFTER_MS + 1000)
    await ingest.redis.zadd(INGEST_PRESENCE, {"other": long_ago_ms})
    await ingest.redis.set(INGEST_RETURNED, 5)
    before_ms = await now_ms(ingest.redis)
    await ingest.beacon.beat()
    assert before_ms <= int(await ingest.redis.get(INGEST_RETURNED))
    newest = await ingest.redis.zrevrange(INGEST_PRESENCE, 0, 0)
    assert [ingest.beacon.replica.encode()] == newest


async def test_beat_tells_that_an_agent_was_heard_since_the_last(ingest: Ingest) -> None:
    await ingest.beacon.beat()
    assert await ingest.redis.get(INGEST_HEARD) is None
    before_ms = await now_ms(ingest.redis)
    ingest.beacon.heard = True
    await ingest.beacon.beat()
    heard_ms = int(await ingest.redis.get(INGEST_HEARD))
    assert before_ms <= heard_ms
    await ingest.beacon.beat()
    assert heard_ms == int(await ingest.redis.get(INGEST_HEARD))


async def test_replica_that_could_take_nothing_in_does_not_beat(ingest: Ingest) -> None:
    async def fails() -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await Beacon(ingest.redis, fails).beat()
    assert 0 == await ingest.redis.zcard(INGEST_PRESENCE)


async def test_replica_beats_until_it_is_drained_and_takes_leave(ingest: Ingest) -> None:
    drained = asyncio.Event()
    running = asyncio.create_task(ingest.beacon.run(drained))

    async def is_there() -> bool:
        return await ingest.redis.zscore(INGEST_PRESENCE, ingest.beacon.replica) is not None

    await until(is_there)
    drained.set()
    await running
    assert not await is_there()


async def test_loss_of_redis_is_survived() -> None:
    redis = open_redis("redis://127.0.0.1:1/0")
    drained = asyncio.Event()
    running = asyncio.create_task(Beacon(redis, redis.ping).run(drained))
    await asyncio.sleep(0)
    drained.set()
    await running
    await redis.aclose()
