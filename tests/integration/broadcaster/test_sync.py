"""Subscribing and changes over a real log and a real server."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis

from services.broadcaster.pace import Pace
from shared.operation import Draft
from tests.support.broadcaster import TOKEN, FakeAuthenticator, Producer, broadcasting, principal, raw_client
from tests.support.sync_client import SyncClient


async def test_a_subscriber_gets_a_snapshot_and_then_every_change(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1", name="one")
    async with broadcasting(redis, people) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        state = await client.until(lambda state: state.version == 1)
        assert {"s_1": {"name": "one"}} == state.data
        await producer.put("s_2", name="two")
        await producer.delete("s_1")
        state = await client.until(lambda state: state.version == 3)
        assert {"s_2": {"name": "two"}} == state.data


async def test_every_subscriber_sees_every_change(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as one,
        SyncClient(broadcaster.url, TOKEN) as other,
    ):
        for number in range(20):
            await producer.put(f"s_{number % 7}", number=number)
        states = [await client.until(lambda state: state.version == 20) for client in (one, other)]
        assert states[0].items == states[1].items
        assert {f"s_{n % 7}": {"number": n} for n in range(13, 20)} == states[0].data


async def test_a_large_topic_comes_in_parts(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    drafts = [Draft(id=f"s_{n}", action="put", data=b'{"notes":"%s"}' % (b"x" * 900)) for n in range(1_000)]
    await producer.append(*drafts)
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        await client.send({"op": "subscribe", "topic": "servers"})
        first = await client.receive()
        parts = [first] + [await client.receive() for _ in range(first["parts"] - 1)]
    assert 4 == len(parts)
    assert 1_000 == len({item["id"] for part in parts for item in part["items"]})


async def test_a_burst_is_conflated(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        await client.until(lambda state: state.epoch == "1")
        begun = time.monotonic()
        for number in range(300):
            await producer.put("s_1", number=number)
        state = await client.until(lambda state: state.version == 300)
        elapsed_s = time.monotonic() - begun
    assert {"s_1": {"number": 299}} == state.data
    assert state.seen["changes"] <= 2 + elapsed_s / 0.1


async def test_the_first_change_does_not_wait_for_a_tick(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        broadcasting(redis, people, pace=Pace(tick_s=60)) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as client,
    ):
        await client.until(lambda state: state.epoch == "1")
        await producer.put("s_1")
        await client.until(lambda state: state.version == 1, timeout_s=2)


async def test_topics_of_a_connection_are_independent(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        for topic in ("servers", "agents"):
            await client.send({"op": "subscribe", "topic": topic})
        answers = [await client.receive() for _ in range(2)]
        assert {("snapshot", "servers", 0), ("snapshot", "agents", 0)} == {
            (answer["op"], answer["topic"], answer["version"]) for answer in answers
        }
        await producer.put("s_1")
        changes = await client.receive()
        assert ("changes", "servers", 0, 1) == tuple(changes[key] for key in ("op", "topic", "prev", "version"))


async def test_a_second_subscription_takes_the_place_of_the_first(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        for _ in range(2):
            await client.send({"op": "subscribe", "topic": "servers"})
            assert "snapshot" == (await client.receive())["op"]
        await producer.put("s_1")
        assert "changes" == (await client.receive())["op"]
        await client.send({"op": "check", "topic": "servers"})
        assert "bookmark" == (await client.receive())["op"]


async def test_after_an_unsubscription_nothing_comes(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        for topic in ("servers", "agents"):
            await client.send({"op": "subscribe", "topic": topic})
            await client.receive()
        await client.send({"op": "unsubscribe", "topic": "servers"})
        await client.send({"op": "check", "topic": "agents"})
        assert "bookmark" == (await client.receive())["op"]
        async with SyncClient(broadcaster.url, TOKEN) as other:
            await producer.put("s_1")
            await other.until(lambda state: state.version == 1)
        await client.send({"op": "check", "topic": "agents"})
        bookmark = await client.receive()
        assert ("bookmark", "agents") == (bookmark["op"], bookmark["topic"])


async def test_a_check_is_answered_with_the_digest(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    await producer.put("s_1")
    async with broadcasting(redis, people) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        await client.until(lambda state: state.version == 1)
        await client.check()
        await client.until(lambda state: state.seen["bookmarks"] == 1)


async def test_bookmarks_come_by_themselves(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    await producer.put("s_1")
    async with (
        broadcasting(redis, people, pace=Pace(bookmark_s=0.05)) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as client,
    ):
        await client.until(lambda state: state.seen["bookmarks"] >= 3)


async def test_a_user_sees_only_their_workspaces(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    people.principals["other"] = principal("w_other", user="u_2")
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, "other") as client:
        await client.send({"op": "subscribe", "topic": "servers", "workspace": "w_first"})
        refusal = await client.receive()
        assert ("error", "forbidden", "servers", "w_first") == tuple(
            refusal[key] for key in ("op", "code", "topic", "workspace")
        )
        await client.send({"op": "subscribe", "topic": "servers"})
        await producer.put("s_1")
        answer = await client.receive()
        assert ("snapshot", "w_other", []) == (answer["op"], answer["workspace"], answer["items"])


async def test_a_topic_is_closed_when_nobody_has_wanted_it_for_a_while(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people, pace=Pace(linger_s=0.05)) as broadcaster:
        async with SyncClient(broadcaster.url, TOKEN) as client:
            await client.until(lambda state: state.epoch == "1")
            assert 1 == len(broadcaster.hub._channels)
        async with asyncio.timeout(5):
            while broadcaster.hub._channels:
                await asyncio.sleep(0.01)
