"""Socket.IO with several replicas behind the one origin: long polling, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from stack.embedded import caddy
from stack.embedded.caddy import ROUTES
from stack.folders import make_private
from stack.ports import LoopbackPorts
from tests.support.broadcaster import Broadcaster, FakeAuthenticator, Producer, broadcasting
from tests.support.processes import RunningProgram
from tests.support.socketio_client import Client, javascript_client, python_client, until
from tests.support.standin import answers


@asynccontextmanager
async def one_origin(folder: Path, replicas: list[Broadcaster]) -> AsyncIterator[str]:
    """Run the embedded Caddy in front of these replicas, and give its URL."""
    address = f"127.0.0.1:{LoopbackPorts().take()}"
    upstreams = {name: [f"127.0.0.1:{replica.port}" for replica in replicas] for name in ROUTES}
    make_private(folder)
    config = caddy.configuration([address], upstreams, None, folder / "storage")
    program = caddy.server(folder, config, f"http://{address}", folder / "caddy.log")
    running = RunningProgram(program, answers(f"http://{address}/metrics"))
    running.start()
    try:
        yield f"http://{address}"
    finally:
        running.stop()


@pytest.mark.parametrize("transport", ["polling", "websocket", "polling,websocket"])
async def test_clients_of_any_transport_live_with_two_replicas(
    redis: Redis, producer: Producer, people: FakeAuthenticator, tmp_path: Path, transport: str
) -> None:
    async with (
        broadcasting(redis, people) as one,
        broadcasting(redis, people) as two,
        one_origin(tmp_path / "caddy", [one, two]) as url,
        javascript_client(url, transport=transport) as javascript,
        python_client(url, transport=transport.split(",", maxsplit=1)[0]) as python,
    ):
        clients: list[Client] = [javascript, python]
        for client in clients:
            await until(client, "connected")
            await client.emit("request:servers")
            await until(client, "servers:initial")
        for number in range(1, 31):
            await producer.put("s_1", n=number)
        for client in clients:
            assert list(range(1, 31)) == [(await until(client, "servers:update"))["eventId"] for _ in range(30)]


async def test_a_replica_that_goes_sends_its_clients_to_the_other(
    redis: Redis, producer: Producer, people: FakeAuthenticator, tmp_path: Path
) -> None:
    async with (
        broadcasting(redis, people) as one,
        broadcasting(redis, people) as two,
        one_origin(tmp_path / "caddy", [one, two]) as url,
        javascript_client(url, reconnects=True) as client,
    ):
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 0})
        await producer.put("s_1", n=1)
        assert 1 == (await until(client, "servers:update"))["eventId"]
        async with asyncio.TaskGroup() as group:
            leaving = one if len(one.connections) else two
            group.create_task(leaving.drain())
            for number in range(2, 31):
                await producer.put("s_1", n=number)
        # asked to come again as long as the one that stops is chosen
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 1})
        assert list(range(2, 31)) == [(await until(client, "servers:update"))["eventId"] for _ in range(29)]
        assert (0, 1) == (len(leaving.connections), len(one.connections) + len(two.connections))
