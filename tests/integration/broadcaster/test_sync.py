"""The sync protocol over a real log and a real server: subscribing, changes, resuming, new epochs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest_asyncio
from redis.asyncio import Redis

from services.broadcaster.pace import Pace
from shared.io.changelog.append import ChangeLog
from shared.io.redis import open_redis
from shared.names import Topic
from shared.operation import Draft, DraftAction, Operation
from tests.support.broadcaster import TOKEN, WORKSPACE, FakeAuthenticator, broadcasting, raw_client
from tests.support.log import open_log
from tests.support.sync_client import SyncClient

SERVERS = Topic(WORKSPACE, "servers")


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = open_redis(redis_url)
    await open_log(client)
    yield client
    await client.aclose()


class Producer:
    """Appends to the topic `servers`."""

    def __init__(self, redis: Redis) -> None:
        self._log = ChangeLog(redis)

    async def put(self, record_id: str, action: DraftAction = "put", **data: object) -> int:
        """Append one change and return its version."""
        encoded = b"" if action == "delete" else json.dumps(data).encode()
        draft = Draft(id=record_id, action=action, data=encoded)
        return (await self._log.append(Operation(topic=SERVERS, drafts=(draft,), actor="test"))).version


@pytest_asyncio.fixture
async def producer(redis: Redis) -> Producer:
    return Producer(redis)


async def test_a_subscriber_gets_a_snapshot_and_then_every_change(redis: Redis, producer: Producer) -> None:
    await producer.put("s_1", name="one")
    async with broadcasting(redis, FakeAuthenticator()) as broadcaster, SyncClient(broadcaster.url, TOKEN) as client:
        state = await client.until(lambda state: state.version == 1)
        assert {"s_1": {"name": "one"}} == state.data
        await producer.put("s_2", name="two")
        await producer.put("s_1", "delete")
        state = await client.until(lambda state: state.version == 3)
        assert {"s_2": {"name": "two"}} == state.data
