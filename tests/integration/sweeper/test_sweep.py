"""Sweeps over a real Valkey, by one sweeper or several at once."""

import asyncio
import datetime as dt

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from services.sweeper.sweep import Sweeper
from shared.errors import Overloaded, Rejected
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import (
    INGEST_HEARD,
    INGEST_LEFT,
    INGEST_PRESENCE,
    INGEST_RETURNED,
    SWEEPS,
    PartitionKeys,
    Topic,
    deadline_of,
    held_deadline_of,
    partition_of,
)
from shared.operation import Appended, Deadline, Draft, Operation
from shared.resources.servers import Server
from shared.settings import Liveness

SERVERS = Topic("w_test", "servers")
KEYS = PartitionKeys(partition_of("w_test"))
OFFLINE_AFTER_S = 60.0
RETURN_GRACE_S = 120.0


@pytest_asyncio.fixture
async def redis(redis: Redis) -> Redis:
    """Give a Valkey with an open log, where everyone has listened for long enough."""
    now_ms = await redis_now_ms(redis)
    await redis.zadd(INGEST_PRESENCE, {"replica": now_ms + 60_000})
    await redis.set(INGEST_RETURNED, now_ms - 121_000)
    await redis.hset(SWEEPS, mapping={"at": now_ms, "since": now_ms - 61_000})  # type: ignore[misc]  # redis-py types it for both of its clients
    return redis


async def redis_now_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def sweeper(redis: Redis) -> Sweeper:
    return Sweeper(
        redis, ChangeLog(redis), LogReader(redis), Liveness(OFFLINE_AFTER_S, 10.0, return_grace_s=RETURN_GRACE_S)
    )


async def make_servers(redis: Redis, count: int, *, deadline_ms: int) -> None:
    data = msgspec.json.encode(Server(name="web", status="online"))
    drafts = tuple(Draft(id=f"s_{number}", action="create", data=data) for number in range(count))
    armed = tuple(Deadline("arm", deadline_of("w_test", draft.id), deadline_ms) for draft in drafts)
    await ChangeLog(redis).append(Operation(topic=SERVERS, drafts=drafts, actor="test", deadlines=armed))


async def servers(redis: Redis) -> dict[str, Server]:
    snapshot = await LogReader(redis).snapshot(SERVERS)
    return {record.id: msgspec.json.decode(record.data, type=Server) for record in snapshot.records}


async def deadlines(redis: Redis) -> list[bytes]:
    return sorted(await redis.zrange(KEYS.deadlines, 0, -1))


async def test_silent_server_goes_offline_and_keeps_the_time_it_was_last_seen(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=-1)
    last_heard = dt.datetime.fromtimestamp((await redis_now_ms(redis)) / 1000, dt.UTC) - dt.timedelta(seconds=60)
    await sweeper(redis).sweep()
    (server,) = (await servers(redis)).values()
    assert "offline" == server.status
    assert server.last_seen is not None
    assert abs(server.last_seen - last_heard) < dt.timedelta(seconds=1)
    assert [] == await deadlines(redis)


async def test_server_whose_deadline_is_to_come_is_left_alone(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=1000)
    await sweeper(redis).sweep()
    assert {"online"} == {server.status for server in (await servers(redis)).values()}


async def test_many_sweepers_flip_each_server_once(redis: Redis) -> None:
    await make_servers(redis, 4, deadline_ms=-1)
    await asyncio.gather(*(sweeper(redis).sweep() for _ in range(5)))
    snapshot = await LogReader(redis).snapshot(SERVERS)
    assert 4 + 4 == snapshot.version


async def test_many_silent_at_once_become_unknown_and_offline_only_if_they_stay_silent(redis: Redis) -> None:
    await make_servers(redis, 10, deadline_ms=-1)
    await sweeper(redis).sweep()
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    held = sorted(held_deadline_of("w_test", f"s_{number}").encode() for number in range(10))
    assert held == await deadlines(redis)
    now_ms = await redis_now_ms(redis)
    until_ms = [score - now_ms for _, score in await redis.zrange(KEYS.deadlines, 0, -1, withscores=True)]
    assert all(110_000 < each <= 120_000 for each in until_ms)
    await sweeper(redis).sweep()
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    await redis.zadd(KEYS.deadlines, dict.fromkeys(held, 1))  # their time passes
    await sweeper(redis).sweep()
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    await redis.set(INGEST_HEARD, now_ms)  # the first comes through again
    await sweeper(redis).sweep()
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    await redis.hset(SWEEPS, "unheard", str(now_ms - 120_000))  # type: ignore[misc]  # redis-py types it for both of its clients
    await sweeper(redis).sweep()
    assert {"offline"} == {server.status for server in (await servers(redis)).values()}
    assert [] == await deadlines(redis)


async def test_deadline_of_a_removed_server_is_dropped(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=-1)
    await ChangeLog(redis).append(
        Operation(topic=SERVERS, drafts=(Draft(id="s_0", action="delete"),), actor="test", id="op-delete")
    )
    await sweeper(redis).sweep()
    assert [] == await deadlines(redis)
    assert {} == await servers(redis)


async def test_short_absence_of_ingest_changes_nothing(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=-1)
    await redis.delete(INGEST_PRESENCE)
    await redis.set(INGEST_LEFT, await redis_now_ms(redis) - 50_000)
    await sweeper(redis).sweep()
    assert {"online"} == {server.status for server in (await servers(redis)).values()}


async def test_servers_are_unknown_while_ingest_is_long_away_and_offline_only_if_silent_after_its_return(
    redis: Redis,
) -> None:
    await make_servers(redis, 3, deadline_ms=-1)
    now_ms = await redis_now_ms(redis)
    await redis.delete(INGEST_PRESENCE)
    await redis.set(INGEST_LEFT, now_ms - 61_000)
    for _ in range(2):  # the second has nothing to do
        await sweeper(redis).sweep()
        assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    assert 3 + 3 == (await LogReader(redis).snapshot(SERVERS)).version
    held = [held_deadline_of("w_test", f"s_{number}").encode() for number in range(3)]
    assert held == await deadlines(redis)
    await redis.zadd(INGEST_PRESENCE, {"replica": now_ms + 60_000})
    await redis.set(INGEST_RETURNED, now_ms)
    await redis.zadd(KEYS.deadlines, dict.fromkeys(held, 1))
    await sweeper(redis).sweep()  # it has just returned
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    await redis.set(INGEST_RETURNED, now_ms - 100_000)
    await sweeper(redis).sweep()  # they may still be on their way back
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    await redis.set(INGEST_RETURNED, now_ms - 121_000)
    await sweeper(redis).sweep()
    assert {"offline"} == {server.status for server in (await servers(redis)).values()}


async def test_server_that_falls_silent_while_agents_come_back_is_unknown_at_first(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=-1)
    now_ms = await redis_now_ms(redis)
    await redis.set(INGEST_RETURNED, now_ms - 61_000)
    await sweeper(redis).sweep()
    assert {"unknown"} == {server.status for server in (await servers(redis)).values()}
    await redis.set(INGEST_RETURNED, now_ms - 121_000)
    await redis.zadd(KEYS.deadlines, {held_deadline_of("w_test", "s_0"): 1})
    await sweeper(redis).sweep()
    assert {"offline"} == {server.status for server in (await servers(redis)).values()}


async def test_nobody_goes_offline_after_the_sweepers_were_away(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=-1)
    now_ms = await redis_now_ms(redis)
    await redis.hset(SWEEPS, "at", str(now_ms - 22_000))  # type: ignore[misc]  # redis-py types it for both of its clients
    await sweeper(redis).sweep()
    assert {"online"} == {server.status for server in (await servers(redis)).values()}
    await redis.hset(SWEEPS, "since", str(now_ms - 61_000))  # type: ignore[misc]  # likewise; their grace passes
    await sweeper(redis).sweep()
    assert {"offline"} == {server.status for server in (await servers(redis)).values()}


async def test_first_sweep_ever_calls_nobody_offline(redis: Redis) -> None:
    await make_servers(redis, 1, deadline_ms=-1)
    await redis.delete(SWEEPS)
    await sweeper(redis).sweep()
    assert {"online"} == {server.status for server in (await servers(redis)).values()}


async def test_where_the_log_takes_nothing_in_silence_means_nothing(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_servers(redis, 2, deadline_ms=-1)
    append_all, sweeping = ChangeLog.append_all, sweeper(redis)

    async def refuse(*_: object) -> list[Appended | Rejected]:
        raise Overloaded("the log waits to be applied")

    monkeypatch.setattr(ChangeLog, "append_all", refuse)
    await sweeping.sweep()
    # it takes changes in again, and agents that were refused have not come back yet
    monkeypatch.setattr(ChangeLog, "append_all", append_all)
    await sweeping.sweep()
    assert {"online"} == {server.status for server in (await servers(redis)).values()}
    # another one, which knows nothing of that, would call them offline
    await sweeper(redis).sweep()
    assert {"offline"} == {server.status for server in (await servers(redis)).values()}
