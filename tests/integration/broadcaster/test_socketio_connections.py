"""The connections of Socket.IO clients: who gets in, what is bounded, and how they end."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect

from services.broadcaster.connections import Connections
from services.broadcaster.limits import Limits
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.socketio_server import MAX_QUEUED_PACKETS
from shared.protocol import PART_BYTES
from tests.support.broadcaster import (
    TOKEN,
    Broadcaster,
    FakeAuthenticator,
    Producer,
    broadcasting,
    principal,
)
from tests.support.socketio_client import (
    CLIENTS,
    TRANSPORTS,
    Connect,
    initial,
    python_client,
    until,
)

DENIED = {"message": "the token is unknown", "data": {"code": "unauthenticated"}}
SLOW = Bounds(high_water_bytes=200_000, stall_s=0.5)
AT_ONCE = Pace(tick_s=0.000_1)


@CLIENTS
@TRANSPORTS
@pytest.mark.parametrize(
    "auth", [{}, {"token": "wrong"}, {"token": 5}, {"token": ["a"]}, [1], "text", {"token": "\ud800"}]
)
async def test_nobody_gets_in_without_a_valid_token(
    redis: Redis, people: FakeAuthenticator, client_of: Connect, transport: str, auth: object
) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        client_of(broadcaster.socketio_url, auth, transport=transport) as client,
    ):
        assert ("connect_error", DENIED) == await client.event()
        assert 0 == len(broadcaster.connections)


async def test_a_client_that_cannot_be_told_is_asked_to_come_again(redis: Redis, people: FakeAuthenticator) -> None:
    people.is_down = True
    async with broadcasting(redis, people) as broadcaster, python_client(broadcaster.socketio_url) as client:
        refusal = (await client.event())[1]
        assert {"code": "unavailable", "retry_after_ms": 500} == refusal["data"]


async def test_who_does_not_say_who_it_is_is_not_kept(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(auth_within_s=0.05)
    async with (
        broadcasting(redis, people, limits=limits) as broadcaster,
        httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http,
    ):
        opened = await http.get("/socket.io/?EIO=4&transport=polling")
        assert 200 == opened.status_code
        await gone(broadcaster.connections)


async def gone(connections: Connections) -> None:
    async with asyncio.timeout(5):
        while len(connections):
            await asyncio.sleep(0.01)


async def test_a_polling_client_that_does_not_come_for_its_packets_is_dropped(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        broadcasting(redis, people, bounds=SLOW, pace=AT_ONCE) as broadcaster,
        httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http,
    ):
        opened = await http.get("/socket.io/?EIO=4&transport=polling")
        session = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        for packet in (f'40{{"token":"{TOKEN}"}}', '42["request:servers"]'):
            assert 200 == (await http.post(session, content=packet)).status_code
        while "servers:initial" not in (await http.get(session)).text:
            pass
        await overfill(broadcaster, producer)
        assert 400 == (await http.get(session)).status_code


async def test_a_websocket_that_does_not_read_is_dropped(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people, bounds=SLOW, pace=AT_ONCE) as broadcaster:
        url = broadcaster.socketio_url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with connect(url, compression=None, proxy=None, max_queue=1, close_timeout=0.1) as slow:
            for packet in (f'40{{"token":"{TOKEN}"}}', '42["request:servers"]'):
                await slow.send(packet)
            while "servers:initial" not in str(await slow.recv()):
                pass
            await overfill(broadcaster, producer)


async def test_what_the_engine_itself_sends_does_not_gather(redis: Redis, people: FakeAuthenticator) -> None:
    async with (
        broadcasting(redis, people, limits=Limits(auth_within_s=0.5)) as broadcaster,
        httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http,
    ):
        opened = await http.get("/socket.io/?EIO=4&transport=polling")
        session = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        assert broadcaster.socketio is not None
        (socket,) = broadcaster.socketio._server.eio.sockets.values()
        # each asks for a packet in answer, for which nobody comes
        posts = [asyncio.create_task(http.post(session, content="\x1e".join("5" * 60))) for _ in range(5)]
        await asyncio.gather(*posts)
        assert socket.queue.qsize() <= MAX_QUEUED_PACKETS
        await gone(broadcaster.connections)


async def overfill(broadcaster: Broadcaster, producer: Producer) -> None:
    """Change a record until the only client, which does not read, is dropped; it must not hold much meanwhile."""
    (connection,) = broadcaster.connections._connections
    async with asyncio.timeout(20):
        while len(broadcaster.connections):
            await producer.put("s_1", notes="x" * 60_000)
            assert connection.outbox.queued_bytes <= SLOW.high_water_bytes + PART_BYTES
    assert broadcaster.socketio is not None
    async with asyncio.timeout(10):
        while broadcaster.socketio._server.links:
            await asyncio.sleep(0.01)


async def test_a_token_that_expires_ends_the_connection_unless_it_is_renewed(
    redis: Redis, people: FakeAuthenticator
) -> None:
    people.principals["short"] = principal(lasts=timedelta(seconds=0.3))
    async with (
        broadcasting(redis, people) as broadcaster,
        python_client(broadcaster.socketio_url, {"token": "short"}) as renewing,
        python_client(broadcaster.socketio_url, {"token": "short"}) as forgetful,
    ):
        await until(renewing, "connected")
        await renewing.emit("auth", {"token": TOKEN})
        complaint = await until(forgetful, "error")
        assert ("unauthenticated", "the token has expired") == (complaint["code"], complaint["message"])
        async with asyncio.timeout(5):
            await forgetful.sio.wait()
        await renewing.emit("request:servers")
        assert initial(0) == await renewing.event()


async def test_a_login_that_ends_ends_the_connection(redis: Redis, people: FakeAuthenticator) -> None:
    async with (
        broadcasting(redis, people, logins_check_s=0.05) as broadcaster,
        python_client(broadcaster.socketio_url) as client,
    ):
        await until(client, "connected")
        people.ended.add("session_1")
        assert "the session has ended" == (await until(client, "error"))["message"]
        async with asyncio.timeout(5):
            await client.sio.wait()


async def test_pages_of_other_origins_are_refused_and_those_of_the_list_are_not(
    redis: Redis, people: FakeAuthenticator
) -> None:
    origins = frozenset({"https://status.example.org"})
    async with (
        broadcasting(redis, people, origins=origins) as broadcaster,
        httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http,
    ):
        for origin, status in (
            ("https://evil.example.org", 403),
            ("null", 403),
            ("https://status.example.org", 200),
            (broadcaster.socketio_url, 200),
        ):
            answer = await http.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": origin})
            assert status == answer.status_code
            shown = answer.headers.get("access-control-allow-origin")
            assert (origin if status == 200 else None) == shown
            assert "set-cookie" not in answer.headers
        async with python_client(broadcaster.socketio_url, origin="https://evil.example.org") as client:
            assert not client.sio.connected


async def test_there_are_only_so_many_of_one_address_and_of_one_user(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(connections_per_user=1, connections_per_address=2)
    async with (
        broadcasting(redis, people, limits=limits) as broadcaster,
        python_client(broadcaster.socketio_url) as first,
    ):
        await until(first, "connected")
        async with python_client(broadcaster.socketio_url) as second:
            assert "too_many" == (await second.event())[1]["data"]["code"]
        people.principals["other"] = principal(user="u_2")
        async with (
            python_client(broadcaster.socketio_url, {"token": "other"}) as third,
            httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http,
        ):
            await until(third, "connected")
            assert 429 == (await http.get("/socket.io/?EIO=4&transport=polling")).status_code


@TRANSPORTS
@pytest.mark.parametrize(
    "packet", ["garbage", "51-", '51-["request:servers",{"_placeholder":true}]', "2{}", "2[]", "2[5]"]
)
async def test_nonsense_ends_the_connection(
    redis: Redis, people: FakeAuthenticator, transport: str, packet: str
) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        python_client(broadcaster.socketio_url, transport=transport) as client,
    ):
        await until(client, "connected")
        await client.sio.eio.send(packet)
        await gone(broadcaster.connections)


async def test_who_sends_too_many_messages_is_turned_out(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(messages_burst=20, messages_per_s=1)
    async with (
        broadcasting(redis, people, limits=limits) as broadcaster,
        python_client(broadcaster.socketio_url) as client,
    ):
        await until(client, "connected")
        for _ in range(30):
            await client.emit("request:servers")
        assert "too_many" == (await until(client, "error"))["code"]
        await gone(broadcaster.connections)


@TRANSPORTS
async def test_draining_ends_connections_and_leaves_no_task(
    redis: Redis, people: FakeAuthenticator, transport: str
) -> None:
    async with broadcasting(redis, people) as broadcaster:
        assert broadcaster.socketio is not None
        clients = [python_client(broadcaster.socketio_url, transport=transport) for _ in range(3)]
        async with clients[0] as one, clients[1] as two, clients[2] as three:
            for client in (one, two, three):
                await until(client, "connected")
                await client.emit("request:servers")
                assert initial(0) == await client.event()
            async with asyncio.timeout(3):
                await broadcaster.drain()
                await asyncio.gather(*(client.sio.wait() for client in (one, two, three)))
            server = broadcaster.socketio._server
            assert (0, 0, 0) == (len(server.links), len(server.eio.sockets), len(server.environ))
            assert set() == server.eio.tasks
        async with httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http:
            assert 503 == (await http.get("/socket.io/?EIO=4&transport=polling")).status_code


@TRANSPORTS
async def test_a_client_that_has_gone_leaves_nothing_behind(
    redis: Redis, people: FakeAuthenticator, transport: str
) -> None:
    async with broadcasting(redis, people) as broadcaster:
        async with python_client(broadcaster.socketio_url, transport=transport) as client:
            await until(client, "connected")
            await client.emit("request:servers")
            assert initial(0) == await client.event()
        await gone(broadcaster.connections)
        (channel,) = broadcaster.hub._channels.values()
        assert {} == channel._subscribers
        assert broadcaster.socketio is not None
        async with asyncio.timeout(5):
            while broadcaster.socketio._server.links:
                await asyncio.sleep(0.01)
