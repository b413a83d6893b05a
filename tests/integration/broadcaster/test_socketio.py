"""What Socket.IO clients are told: everything, then every change, and what they have missed."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import structlog
from redis.asyncio import Redis
from websockets.asyncio.client import connect

from services.broadcaster.event_feed import Event
from shared.names import Topic, partition_of
from shared.operation import Draft
from shared.resources import RESOURCES
from tests.support.broadcaster import (
    SERVERS,
    TOKEN,
    WORKSPACE,
    FakeAuthenticator,
    FakeJournal,
    Producer,
    broadcasting,
    principal,
)
from tests.support.log import open_partition, seal_partition
from tests.support.socketio_client import (
    CLIENTS,
    TRANSPORTS,
    Connect,
    events_of,
    initial,
    item,
    javascript_client,
    python_client,
    until,
)


def update(version: int, record_id: str, kind: str = "update", **fields: object) -> tuple[str, Any]:
    return "servers:update", {"eventId": version, "type": kind, "data": item(version, record_id, **fields)}


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


async def test_frames_of_socketio_are_not_deflated_for_each_client(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster:
        url = broadcaster.socketio_url.replace("http", "ws")
        for path, extensions in (("/socket.io/?EIO=4&transport=websocket", None), ("/ws", "permessage-deflate")):
            async with connect(url + path, compression="deflate", proxy=None) as websocket:
                assert websocket.response is not None
                offered = websocket.response.headers.get("Sec-WebSocket-Extensions")
                assert extensions == (offered and offered.split(";")[0])


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
