"""Coming back: after a disconnect, a restart, a trimmed log, a new epoch, a server that is away."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from services.broadcaster.pace import Pace
from shared.io.redis import open_redis
from shared.names import PartitionKeys, partition_of
from tests.support.broadcaster import (
    TOKEN,
    WORKSPACE,
    Broadcaster,
    FakeAuthenticator,
    Producer,
    broadcasting,
    raw_client,
)
from tests.support.log import open_log
from tests.support.sync_client import SyncClient
from tests.support.valkey import ValkeyServer

KEYS = PartitionKeys(partition_of(WORKSPACE))


async def test_a_client_that_comes_back_gets_only_what_it_missed(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        await producer.put("s_1", number=1)
        await client.until(lambda state: state.version == 1)
        await client.disconnect()
        for number in range(2, 6):
            await producer.put("s_1", number=number)
        client.reconnect()
        state = await client.until(lambda state: state.version == 5)
    assert {"s_1": {"number": 5}} == state.data
    assert (1, 1) == (state.seen["snapshots"], state.seen["recovered"])


async def test_a_client_resumes_over_a_restart_of_the_broadcaster(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        await producer.put("s_1", number=1)
        await client.until(lambda state: state.version == 1)
        await client.disconnect()
        await producer.put("s_2", number=2)
        async with broadcasting(redis, people) as restarted:
            client.move_to(restarted.url)
            client.reconnect()
            state = await client.until(lambda state: state.version == 2)
            assert {"s_1": {"number": 1}, "s_2": {"number": 2}} == state.data
            assert (1, 1) == (state.seen["snapshots"], state.seen["recovered"])
            await client.disconnect()


async def test_a_client_of_before_the_log_gets_a_snapshot(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        await producer.put("s_1", number=1)
        await client.until(lambda state: state.version == 1)
        await client.disconnect()
        await producer.put("s_2", number=2)
        await redis.xtrim(KEYS.log, maxlen=0, approximate=False)
        async with broadcasting(redis, people) as restarted:
            client.move_to(restarted.url)
            client.reconnect()
            state = await client.until(lambda state: state.version == 2)
            assert (2, 0) == (state.seen["snapshots"], state.seen["recovered"])
            await client.disconnect()


async def test_a_client_that_claims_what_never_was_gets_a_snapshot(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1")
    pace = Pace(behind_s=0.05)
    async with broadcasting(redis, people, pace=pace) as broadcaster, raw_client(broadcaster) as client:
        await client.send({"op": "subscribe", "topic": "servers", "since": {"epoch": "1", "version": 1_000_000}})
        answer = await client.receive()
        assert ("snapshot", 1, False) == tuple(answer[key] for key in ("op", "version", "recovered"))


async def test_a_new_epoch_leads_every_client_to_a_snapshot(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as one,
        SyncClient(broadcaster.url, TOKEN) as other,
    ):
        await producer.put("s_1")
        for client in (one, other):
            await client.until(lambda state: state.version == 1)
        await open_log(redis, epoch=2)  # and an empty state
        for client in (one, other):
            state = await client.until(lambda state: state.epoch == "2")
            assert ({}, 0, 1) == (state.items, state.version, state.seen["epochs"])
        await producer.put("s_2")
        for client in (one, other):
            await client.until(lambda state: list(state.items) == ["s_2"])


async def test_clients_converge_after_entries_were_trimmed_unread(private_valkey: ValkeyServer) -> None:
    redis = open_redis(private_valkey.url)
    await open_log(redis)
    producer = Producer(redis)
    async with (
        broadcasting(redis, FakeAuthenticator()) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as client,
    ):
        await producer.put("s_1")
        await client.until(lambda state: state.version == 1)
        async with redis.pipeline(transaction=True) as pipe:
            # what a reader that was held up meets: entries appended and trimmed before it looked
            pipe.xadd(KEYS.log, {"topic": "w_x:servers"}, id="1-2")
            pipe.xadd(
                KEYS.log,
                {
                    "topic": "w_elsewhere:servers",
                    "prev": 0,
                    "version": 1,
                    "at": 0,
                    "actor": "",
                    "op": "",
                    "changes": '[{"id":"x","action":"created","data":{}}]',
                },
                id="1-3",
            )
            pipe.xdel(KEYS.log, "1-2")
            pipe.hset(KEYS.state(f"{WORKSPACE}:servers"), "s_2", "2 {}")
            pipe.hset(KEYS.versions, f"{WORKSPACE}:servers", "2")
            await pipe.execute()
        state = await client.until(lambda state: state.version == 2)
        assert {"s_1", "s_2"} == set(state.items)
    await redis.aclose()


async def test_subscribers_wait_while_the_log_is_sealed(redis: Redis, people: FakeAuthenticator) -> None:
    await redis.delete(*(PartitionKeys(p).epoch for p in range(8)))
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        await client.send({"op": "subscribe", "topic": "servers"})
        await client.send({"op": "subscribe", "topic": "unknown"})
        assert "error" == (await client.receive())["op"]
        await open_log(redis, epoch=3)
        answer = await client.receive()
        assert ("snapshot", "3", 0) == tuple(answer[key] for key in ("op", "epoch", "version"))


async def test_subscribers_of_a_log_that_stays_sealed_are_told_to_come_back(
    redis: Redis, people: FakeAuthenticator
) -> None:
    await redis.delete(*(PartitionKeys(p).epoch for p in range(8)))
    pace = Pace(behind_s=0.05, answer_s=0.5)
    async with broadcasting(redis, people, pace=pace) as broadcaster, raw_client(broadcaster) as client:
        await client.send({"op": "subscribe", "topic": "servers"})
        refusal = await client.receive()
        assert ("error", "unavailable", "servers", WORKSPACE, 1_000) == tuple(
            refusal[key] for key in ("op", "code", "topic", "workspace", "retry_after_ms")
        )
        await client.send({"op": "check", "topic": "servers"})
        assert "bad_request" == (await client.receive())["code"]
        await open_log(redis, epoch=3)
        await client.send({"op": "subscribe", "topic": "servers"})
        assert "snapshot" == (await client.receive())["op"]


async def test_clients_go_on_after_redis_was_away(private_valkey: ValkeyServer) -> None:
    redis = open_redis(private_valkey.url)
    await open_log(redis)
    producer = Producer(redis)
    async with (
        broadcasting(redis, FakeAuthenticator()) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as client,
    ):
        await producer.put("s_1")
        await client.until(lambda state: state.version == 1)
        await asyncio.to_thread(private_valkey.kill)
        await _until_not_ready(broadcaster)
        await asyncio.to_thread(private_valkey.start)
        await open_log(redis, epoch=2)
        await producer.put("s_2")
        state = await client.until(lambda state: state.epoch == "2" and state.version == 1, timeout_s=10)
        assert {"s_2"} == set(state.items)
        assert 1 == client.connections
    await redis.aclose()


async def _until_not_ready(broadcaster: Broadcaster) -> None:
    async with asyncio.timeout(5):
        while not broadcaster.hub._tail._fault:
            await asyncio.sleep(0.01)
