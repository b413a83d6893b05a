"""Socket.IO as its clients see it: who gets in, what they are told, what they have missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from redis.asyncio import Redis
from websockets.asyncio.client import connect

from services.broadcaster.connections import Connections
from services.broadcaster.event_feed import Event
from services.broadcaster.limits import Limits
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.socketio_server import MAX_QUEUED_PACKETS
from shared.names import Topic, partition_of
from shared.operation import Draft
from shared.protocol import PART_BYTES
from shared.resources import RESOURCES
from tests.support.broadcaster import (
    SERVERS,
    TOKEN,
    WORKSPACE,
    Broadcaster,
    FakeAuthenticator,
    FakeJournal,
    Producer,
    broadcasting,
    principal,
)
from tests.support.log import open_partition, seal_partition
from tests.support.socketio_client import Client, events_of, javascript_client, python_client, until

Connect = Callable[..., AbstractAsyncContextManager[Client]]

CLIENTS = pytest.mark.parametrize("client_of", [python_client, javascript_client], ids=["python", "javascript"])
TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "polling"])
CONNECTED = [("connect", None), ("connected", {"ok": True})]

DENIED = {"message": "the token is unknown", "data": {"code": "unauthenticated"}}


def item(version: int, record_id: str, **fields: object) -> dict[str, Any]:
    return {"id": record_id, "server_id": record_id, "version": version, **fields}


def update(version: int, record_id: str, kind: str = "update", **fields: object) -> tuple[str, Any]:
    return "servers:update", {"eventId": version, "type": kind, "data": item(version, record_id, **fields)}


def initial(version: int, *items: dict[str, Any]) -> tuple[str, Any]:
    data = {"items": list(items), "total": len(items), "version": version, "lastEventId": version}
    return "servers:initial", data


def journalled(*versions: int) -> list[Event]:
    payload = b'{"id":"s_1","server_id":"s_1","version":%d,"n":%d}'
    return [Event(version, "update", payload % (version, version)) for version in versions]


async def forget_ring(redis: Redis) -> None:
    """Trim the log, so that a broadcaster that starts remembers nothing of what happened before."""
    partition = partition_of(WORKSPACE)
    await redis.xtrim(f"muster:{{{partition}}}:log", maxlen=0)


@CLIENTS
@TRANSPORTS
async def test_a_client_is_connected_and_told_everything_then_every_change(
    redis: Redis, producer: Producer, people: FakeAuthenticator, client_of: Connect, transport: str
) -> None:
    await producer.put("s_1", name="one")
    async with (
        broadcasting(redis, people) as broadcaster,
        client_of(broadcaster.socketio_url, transport=transport) as client,
    ):
        assert ["connect", "connected"] == [name for name, _ in await events_of(client, 2)]
        await client.emit("request:servers")
        assert initial(1, item(1, "s_1", name="one")) == await client.event()
        await producer.put("s_2", name="two")
        assert update(2, "s_2", "add", name="two") == await client.event()
        await producer.put("s_2", name="zwei")
        assert update(3, "s_2", name="zwei") == await client.event()
        await producer.delete("s_2")
        assert update(4, "s_2", "delete") == await client.event()


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


@CLIENTS
async def test_what_was_missed_is_replayed_in_order(
    redis: Redis, producer: Producer, people: FakeAuthenticator, client_of: Connect
) -> None:
    for number in range(1, 31):
        await producer.put("s_1", n=number)
    async with broadcasting(redis, people) as broadcaster, client_of(broadcaster.socketio_url) as client:
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 10})
        assert [update(n, "s_1", n=n) for n in range(11, 31)] == await events_of(client, 20)
        await producer.put("s_1", n=31)
        assert update(31, "s_1", n=31) == await client.event()


@TRANSPORTS
async def test_of_nothing_everything_is_missed(
    redis: Redis, producer: Producer, people: FakeAuthenticator, transport: str
) -> None:
    await producer.append(*(Draft(id=f"s_{n}", action="put", data=b"{}") for n in range(500)))
    async with (
        broadcasting(redis, people) as broadcaster,
        python_client(broadcaster.socketio_url, transport=transport) as client,
    ):
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 0})
        assert list(range(1, 501)) == [argument["eventId"] for _, argument in await events_of(client, 500)]


@CLIENTS
async def test_who_has_missed_too_much_gets_everything_anew(
    redis: Redis, producer: Producer, people: FakeAuthenticator, client_of: Connect
) -> None:
    await producer.append(*(Draft(id="s_1", action="put", data=b"{}") for _ in range(502)))
    async with broadcasting(redis, people) as broadcaster, client_of(broadcaster.socketio_url) as client:
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 1})
        assert initial(502, item(502, "s_1")) == await client.event()
        await client.emit("request:servers", {"lastEventId": 2})
        assert list(range(3, 503)) == [argument["eventId"] for _, argument in await events_of(client, 500)]


async def test_an_id_that_was_never_given_out_leads_to_everything(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1", n=1)
    async with broadcasting(redis, people) as broadcaster, python_client(broadcaster.socketio_url) as client:
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 2})
        assert initial(1, item(1, "s_1", n=1)) == await client.event()


async def test_what_this_process_does_not_remember_is_in_the_journal(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    for number in range(1, 6):
        await producer.put("s_1", n=number)
    await forget_ring(redis)
    journal = FakeJournal()
    journal.events_held = journalled(1, 2, 3, 4, 5)
    async with (
        broadcasting(redis, people, journal=journal) as broadcaster,
        python_client(broadcaster.socketio_url) as client,
    ):
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 2})
        assert [update(n, "s_1", n=n) for n in (3, 4, 5)] == await events_of(client, 3)
        assert [(SERVERS, 2, 5)] == journal.lookups
        await producer.put("s_1", n=6)
        assert update(6, "s_1", n=6) == await client.event()


async def test_a_journal_with_a_hole_is_not_replayed(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    for number in range(1, 6):
        await producer.put("s_1", n=number)
    await forget_ring(redis)
    journal = FakeJournal()
    journal.events_held = journalled(4, 5)
    async with (
        broadcasting(redis, people, journal=journal) as broadcaster,
        python_client(broadcaster.socketio_url) as client,
    ):
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 2})
        assert initial(5, item(5, "s_1", n=5)) == await client.event()


async def test_what_the_journal_lacks_yet_comes_from_the_memory_of_the_process(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    for number in range(1, 6):
        await producer.put("s_1", n=number)
    await forget_ring(redis)
    await producer.put("s_1", n=6)
    journal = FakeJournal()
    journal.events_held = journalled(3, 4, 5)
    async with (
        broadcasting(redis, people, journal=journal) as broadcaster,
        python_client(broadcaster.socketio_url) as client,
    ):
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 2})
        assert [update(n, "s_1", n=n) for n in (3, 4, 5, 6)] == await events_of(client, 4)


async def test_a_new_epoch_leads_to_everything_anew(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    for number in range(1, 4):
        await producer.put("s_1", n=number)
    async with broadcasting(redis, people) as broadcaster, python_client(broadcaster.socketio_url) as client:
        await until(client, "connected")
        await client.emit("request:servers")
        assert initial(3, item(3, "s_1", n=3)) == await client.event()
        await seal_partition(redis, partition_of(WORKSPACE), 2)
        await open_partition(redis, partition_of(WORKSPACE), 2, {SERVERS: (2, {"s_1": b'2 {"n":2}'})})
        assert initial(2, item(2, "s_1", n=2)) == await client.event()
        await producer.put("s_1", n=30)
        assert update(3, "s_1", n=30) == await client.event()
        for last_event_id in (1, 2):
            await client.emit("request:servers", {"lastEventId": last_event_id})
            assert initial(3, item(3, "s_1", n=30)) == await client.event()
        await client.emit("request:servers", {"lastEventId": 3})
        await producer.put("s_1", n=40)
        assert update(4, "s_1", n=40) == await client.event()


async def test_another_workspace_sees_nothing(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    people.principals["other"] = principal("w_other", user="u_2", session="session_2")
    await producer.put("s_1", n=1)
    async with (
        broadcasting(redis, people) as broadcaster,
        python_client(broadcaster.socketio_url, {"token": "other"}) as other,
        python_client(broadcaster.socketio_url) as own,
    ):
        for client in (other, own):
            await until(client, "connected")
            await client.emit("request:servers")
        assert initial(0) == await other.event()
        assert initial(1, item(1, "s_1", n=1)) == await own.event()
        await producer.put("s_1", n=2)
        assert update(2, "s_1", n=2) == await own.event()
        for workspace in (WORKSPACE, "w_nowhere"):
            await other.emit("request:servers", {"workspace": workspace, "lastEventId": 1})
            refusal = {
                "code": "forbidden",
                "message": "you are no member of this workspace",
                "topic": "servers",
                "workspace": workspace,
            }
            assert ("error", refusal) == await other.event()


async def test_a_user_of_several_workspaces_names_one(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    people.principals[TOKEN] = principal(WORKSPACE, "w_other")
    await producer.put("s_1", n=1)
    async with broadcasting(redis, people) as broadcaster, python_client(broadcaster.socketio_url) as client:
        await until(client, "connected")
        await client.emit("request:servers")
        assert "bad_request" == (await client.event())[1]["code"]
        await client.emit("request:servers", {"workspace": WORKSPACE})
        assert initial(1, item(1, "s_1", n=1)) == await client.event()
        await client.emit("request:servers", {"workspace": "w_other"})
        assert initial(0) == await client.event()


@pytest.mark.parametrize(
    ("event", "argument", "code"),
    [
        ("request:nothing", None, "unknown_topic"),
        ("request:\ud800", None, "unknown_topic"),
        ("anything", None, "bad_request"),
        ("request:servers", {"lastEventId": "1"}, "bad_request"),
        ("request:servers", {"lastEventId": -1}, "bad_request"),
        ("request:servers", {"lastEventId": True}, "bad_request"),
        ("request:servers", {"workspace": 5}, "bad_request"),
        ("request:servers", [1], "bad_request"),
        ("request:servers", "text", "bad_request"),
    ],
)
async def test_a_wrong_request_is_answered_with_an_error(
    redis: Redis, people: FakeAuthenticator, event: str, argument: object, code: str
) -> None:
    async with broadcasting(redis, people) as broadcaster, python_client(broadcaster.socketio_url) as client:
        await until(client, "connected")
        await client.emit(event, argument)
        name, complaint = await client.event()
        assert ("error", code) == (name, complaint["code"])
        await client.emit("request:servers")
        assert initial(0) == await client.event()


@CLIENTS
@TRANSPORTS
async def test_a_client_that_reconnects_while_changes_go_on_misses_nothing(
    redis: Redis, producer: Producer, people: FakeAuthenticator, client_of: Connect, transport: str
) -> None:
    async def write() -> None:
        for number in range(300):
            await producer.put(f"s_{number % 7}", n=number)

    async with (
        broadcasting(redis, people) as broadcaster,
        client_of(broadcaster.socketio_url, transport=transport, reconnects=True) as client,
    ):
        await until(client, "connected")
        await client.emit("request:servers", {"lastEventId": 0})
        writing = asyncio.create_task(write())
        seen: list[int] = []
        while len(seen) < 300:
            name, argument = await client.event()
            if name == "connected":
                await client.emit("request:servers", {"lastEventId": seen[-1] if seen else 0})
            elif name == "servers:update":
                seen.append(argument["eventId"])
                if argument["eventId"] % 60 == 30:
                    for connection in list(broadcaster.connections._connections):
                        connection.close(4408, "the test wants it so")
        await writing
    assert list(range(1, 301)) == seen


@TRANSPORTS
async def test_a_snapshot_of_several_parts_is_one_event(
    redis: Redis, producer: Producer, people: FakeAuthenticator, transport: str
) -> None:
    await producer.append(
        *(Draft(id=f"s_{n}", action="put", data=b'{"notes":"%s"}' % (b"x" * 900)) for n in range(1_000))
    )
    async with (
        broadcasting(redis, people) as broadcaster,
        python_client(broadcaster.socketio_url, transport=transport) as one,
        python_client(broadcaster.socketio_url, transport=transport) as two,
    ):
        for client in (one, two):
            await until(client, "connected")
            await client.emit("request:servers")
            everything = await until(client, "servers:initial")
            assert (1_000, 1_000) == (everything["total"], len({item["id"] for item in everything["items"]}))


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


async def test_frames_of_socketio_are_not_deflated_for_each_client(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster:
        url = broadcaster.socketio_url.replace("http", "ws")
        for path, extensions in (("/socket.io/?EIO=4&transport=websocket", None), ("/ws", "permessage-deflate")):
            async with connect(url + path, compression="deflate", proxy=None) as websocket:
                assert websocket.response is not None
                offered = websocket.response.headers.get("Sec-WebSocket-Extensions")
                assert extensions == (offered and offered.split(";")[0])


SLOW = Bounds(high_water_bytes=200_000, stall_s=0.5)
AT_ONCE = Pace(tick_s=0.000_1)


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


async def test_many_requests_at_once_are_all_answered(redis: Redis, people: FakeAuthenticator) -> None:
    unknown = [f"unknown_{letter}" for letter in "abcdefghij"]
    async with (
        broadcasting(redis, people) as broadcaster,
        javascript_client(broadcaster.socketio_url, transport="polling") as client,
    ):
        await until(client, "connected")
        for name in (*RESOURCES, *unknown):
            await client.emit(f"request:{name}", {"lastEventId": 5})
        answers = await events_of(client, len(RESOURCES) + len(unknown))
        expected = [f"{name}:initial" for name in RESOURCES] + ["error"] * len(unknown)
        assert sorted(expected) == sorted(name for name, _ in answers)


async def test_a_client_that_begins_with_polling_goes_on_with_a_websocket(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with (
        broadcasting(redis, people) as broadcaster,
        javascript_client(broadcaster.socketio_url, transport="polling,websocket") as client,
    ):
        await until(client, "upgrade")
        await client.emit("request:servers")
        assert initial(0)[1] == await until(client, "servers:initial")
        await producer.put("s_1", n=1)
        assert update(1, "s_1", "add", n=1) == await client.event()
        await broadcaster.drain()
        assert ("disconnect", "transport close") == await client.event()


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


async def test_a_fault_of_ours_ends_the_connection_and_is_logged(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    class BrokenJournal(FakeJournal):
        async def events(self, topic: Topic, after: int, upto: int) -> list[Event]:
            raise ArithmeticError(topic, after, upto)

    await producer.put("s_1", n=1)
    await forget_ring(redis)
    with structlog.testing.capture_logs() as logs:
        async with (
            broadcasting(redis, people, journal=BrokenJournal()) as broadcaster,
            javascript_client(broadcaster.socketio_url) as client,
        ):
            await until(client, "connected")
            await client.emit("request:servers", {"lastEventId": 0})
            assert "transport close" == await until(client, "disconnect")
            assert 0 == len(broadcaster.connections)
    assert "a Socket.IO client could not be served" in [entry["event"] for entry in logs]


async def test_switched_off_there_is_nothing(redis: Redis, people: FakeAuthenticator) -> None:
    async with (
        broadcasting(redis, people, speaks_socketio=False) as broadcaster,
        httpx.AsyncClient(trust_env=False, base_url=broadcaster.socketio_url) as http,
    ):
        answer = await http.get("/socket.io/?EIO=4&transport=polling")
        assert (404, "not_found") == (answer.status_code, answer.json()["code"])
        async with python_client(broadcaster.socketio_url) as client:
            assert not client.sio.connected
