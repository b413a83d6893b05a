"""Frames go past uvicorn's own sends, deflated where that was agreed."""

from __future__ import annotations

import asyncio
import json

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from shared.operation import Draft
from tests.support.broadcaster import TOKEN, FakeAuthenticator, Producer, broadcasting
from tests.support.sync_client import SUBPROTOCOL

TEXT = "muster " * 1_000


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
