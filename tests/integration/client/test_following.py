"""The Python client and a real broadcaster over a real log: what a consumer folds is what the server holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from muster_client import Connected, ConnectionEvent, Disconnected, MusterClient, SignedOut
from shared.names import PartitionKeys, partition_of
from tests.support.broadcaster import TOKEN, WORKSPACE, FakeAuthenticator, Producer, broadcasting, principal
from tests.support.log import open_log

WITHIN_S = 10.0


class Consumer:
    """Folds what it is given; `gate` keeps it from taking more."""

    def __init__(self, muster: MusterClient) -> None:
        self.records: dict[str, Any] = {}
        self.taken = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._watch = muster.watch("servers")
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Take changes until the client is closed."""
        async for change in self._watch:
            assert (change.id in self.records) == (change.action != "created")
            if change.data is None:
                del self.records[change.id]
            else:
                self.records[change.id] = dict(change.data)
            self.taken += 1
            async with self._changed:
                self._changed.notify_all()
            await self.gate.wait()

    async def until(self, records: dict[str, Any]) -> None:
        """Wait until exactly these records are held."""
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: self.records == records)


@asynccontextmanager
async def consuming(muster: MusterClient) -> AsyncIterator[Consumer]:
    """Let a consumer run beside the test; what it raises fails the test."""
    consumer = Consumer(muster)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(consumer.run())
        yield consumer
        task.cancel()


async def test_a_consumer_holds_what_the_server_holds(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1", name="one")
    async with (
        broadcasting(redis, people) as broadcaster,
        MusterClient(broadcaster.url, token=TOKEN) as muster,
        consuming(muster) as consumer,
    ):
        await consumer.until({"s_1": {"name": "one"}})
        await producer.put("s_2", name="two")
        await producer.delete("s_1")
        await consumer.until({"s_2": {"name": "two"}})
        topic = muster.topic("servers")
        assert (3, "1", True) == (topic.version, topic.epoch, topic.is_live)
        assert await topic.check()


async def test_a_consumer_goes_on_over_a_restart_of_the_broadcaster(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    events: list[ConnectionEvent] = []
    async with broadcasting(redis, people) as broadcaster:
        port = broadcaster.port
        muster = MusterClient(broadcaster.url, token=TOKEN, on_connection=events.append)
        async with muster, consuming(muster) as consumer:
            await producer.put("s_1", n=1)
            await consumer.until({"s_1": {"n": 1}})
            await broadcaster.connections.drain()
            await producer.put("s_2", n=2)
            taken = consumer.taken
            async with broadcasting(redis, people) as restarted:
                muster._connection._url = restarted.url
                await consumer.until({"s_1": {"n": 1}, "s_2": {"n": 2}})
                assert (taken + 1, True) == (consumer.taken, port != restarted.port)
                assert await muster.topic("servers").check()
    assert {Connected(is_first=True), Connected(is_first=False)} == {e for e in events if isinstance(e, Connected)}


async def test_a_consumer_gets_the_differences_where_the_log_was_trimmed(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster:
        muster = MusterClient(broadcaster.url, token=TOKEN)
        async with muster, consuming(muster) as consumer:
            await producer.put("s_1", n=1)
            await producer.put("s_2", n=1)
            await consumer.until({"s_1": {"n": 1}, "s_2": {"n": 1}})
            await broadcaster.connections.drain()
            await producer.put("s_2", n=2)
            await producer.delete("s_1")
            await redis.xtrim(PartitionKeys(partition_of(WORKSPACE)).log, maxlen=0, approximate=False)
            taken = consumer.taken
            async with broadcasting(redis, people) as restarted:
                muster._connection._url = restarted.url
                await consumer.until({"s_2": {"n": 2}})
                assert taken + 2 == consumer.taken


async def test_a_new_epoch_leads_to_what_the_server_holds(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        MusterClient(broadcaster.url, token=TOKEN) as muster,
        consuming(muster) as consumer,
    ):
        await producer.put("s_1", n=1)
        await consumer.until({"s_1": {"n": 1}})
        await open_log(redis, epoch=2)  # and an empty state
        await consumer.until({})
        await producer.put("s_2", n=2)
        await consumer.until({"s_2": {"n": 2}})
        assert "2" == muster.topic("servers").epoch


async def test_a_slow_consumer_gets_the_last_change_of_each_record(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        MusterClient(broadcaster.url, token=TOKEN) as muster,
        consuming(muster) as consumer,
    ):
        await producer.put("s_0", n=0)
        await consumer.until({"s_0": {"n": 0}})
        consumer.gate.clear()
        await producer.put("s_0", n=1)
        await consumer.until({"s_0": {"n": 1}})
        topic = muster.topic("servers")
        for n in range(300):
            await producer.put(f"s_{n % 3}", n=n)
        async with asyncio.timeout(WITHIN_S):
            while topic.version < 302:
                await muster._connection.wait("servers")
        assert (2, 3) == (consumer.taken, len(consumer._watch._feed._due))
        consumer.gate.set()
        await consumer.until({"s_0": {"n": 297}, "s_1": {"n": 298}, "s_2": {"n": 299}})
        assert 5 == consumer.taken


async def test_a_token_is_renewed_before_it_ends_and_the_connection_stands(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    events: list[ConnectionEvent] = []
    given: list[str] = []

    async def source() -> str:
        given.append(f"token {len(given)}")
        people.principals[given[-1]] = principal(lasts=timedelta(seconds=0.3))
        return given[-1]

    async with (
        broadcasting(redis, people) as broadcaster,
        MusterClient(broadcaster.url, token=source, on_connection=events.append) as muster,
        consuming(muster) as consumer,
    ):
        while len(given) < 5:
            n = len(given)
            await producer.put("s_1", n=n)
            await consumer.until({"s_1": {"n": n}})
        assert not [event for event in events if isinstance(event, Disconnected) and "expired" in event.reason]


async def test_after_a_token_that_has_expired_the_client_gets_another_and_resumes(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    events: list[ConnectionEvent] = []
    sessions = iter(("session_1", "session_2"))

    async def source() -> str:
        session = next(sessions)
        people.principals[session] = principal(session=session)
        return session

    async with (
        broadcasting(redis, people, logins_check_s=0.02) as broadcaster,
        MusterClient(broadcaster.url, token=source, on_connection=events.append) as muster,
        consuming(muster) as consumer,
    ):
        await producer.put("s_1", n=1)
        await consumer.until({"s_1": {"n": 1}})
        people.ended.add("session_1")
        await until_lost(events)
        await producer.put("s_1", n=2)
        await consumer.until({"s_1": {"n": 2}})
        assert 2 == consumer.taken


async def test_a_fixed_token_that_has_expired_is_the_end(redis: Redis, people: FakeAuthenticator) -> None:
    people.principals["short"] = principal(lasts=timedelta(seconds=0.1))
    async with broadcasting(redis, people) as broadcaster, MusterClient(broadcaster.url, token="short") as muster:
        watch = muster.watch("servers")
        await muster.topic("servers").until_live()
        with pytest.raises(SignedOut, match="expired"):
            await asyncio.wait_for(anext(watch), WITHIN_S)


async def until_lost(events: list[ConnectionEvent]) -> None:
    """Wait until a connection was lost."""
    async with asyncio.timeout(WITHIN_S):
        while len(events) < 2:
            await asyncio.sleep(0.01)
