"""Frames go past uvicorn's own sends, deflated where that was agreed."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.server import ServerProtocol

from services.broadcaster.connection import Connection
from services.broadcaster.transport import SyncProtocol
from shared.io.http_protocol import JoiningProtocol
from shared.operation import Draft
from tests.support.broadcaster import TOKEN, FakeAuthenticator, Producer, broadcasting, raw_client
from tests.support.sync_client import SUBPROTOCOL

TEXT = "muster " * 1_000
PARTS_OF_A_CONNECTION = SyncProtocol, ServerProtocol, JoiningProtocol, Connection


async def follow(connection: ClientConnection, producer: Producer) -> list[str]:
    """Subscribe, have something change, and return the ops of what comes, pings being answered in between."""
    for message in ({"op": "auth", "token": TOKEN}, {"op": "subscribe", "topic": "servers"}):
        await connection.send(json.dumps(message))
    ops = [json.loads(await connection.recv())["op"] for _ in range(2)]
    await producer.append(Draft(id="s_1", action="put", data=json.dumps({"notes": TEXT}).encode()))
    await (await connection.ping())
    message = json.loads(await connection.recv())
    assert TEXT == message["changes"][0]["data"]["notes"]
    return [*ops, message["op"]]


@pytest.mark.parametrize("server_bits", [None, 10])
async def test_frames_are_deflated_where_that_was_agreed(
    redis: Redis, producer: Producer, people: FakeAuthenticator, server_bits: int | None
) -> None:
    deflate = ClientPerMessageDeflateFactory(client_max_window_bits=True, server_max_window_bits=server_bits)
    async with (
        asyncio.timeout(10),
        broadcasting(redis, people) as broadcaster,
        connect(broadcaster.url, subprotocols=[SUBPROTOCOL], extensions=[deflate], proxy=None) as connection,
    ):
        assert "permessage-deflate" in connection.response.headers["Sec-WebSocket-Extensions"]  # type: ignore[union-attr]  # it was answered
        assert ["welcome", "snapshot", "changes"] == await follow(connection, producer)


async def test_frames_are_plain_where_nothing_was_agreed(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        asyncio.timeout(10),
        broadcasting(redis, people) as broadcaster,
        connect(broadcaster.url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None) as connection,
    ):
        assert "Sec-WebSocket-Extensions" not in connection.response.headers  # type: ignore[union-attr]  # it was answered
        assert ["welcome", "snapshot", "changes"] == await follow(connection, producer)


@contextmanager
def without_collector() -> Iterator[None]:
    """Have only that freed which nothing refers to any more, not even itself."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def parts_of_connections() -> int:
    return sum(isinstance(thing, PARTS_OF_A_CONNECTION) for thing in gc.get_objects())


async def test_a_connection_that_has_ended_does_not_wait_for_the_collector(
    redis: Redis, people: FakeAuthenticator
) -> None:
    """In circles, connections that come and go would pile up, with what waited for them, until the next collection."""
    async with asyncio.timeout(10), broadcasting(redis, people) as broadcaster:
        with without_collector():
            before = parts_of_connections()
            async with raw_client(broadcaster) as closing:
                await closing.send({"op": "subscribe", "topic": "servers"})
                await closing.until("snapshot")
                assert parts_of_connections() > before
            async with raw_client(broadcaster) as vanishing:
                vanishing.connection.transport.abort()
            async with raw_client(broadcaster) as refused:
                await refused.send({"op": "nonsense"})
                assert 4400 == (await refused.close_code())[0]
            while parts_of_connections() > before:
                await asyncio.sleep(0.01)
