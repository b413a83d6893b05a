"""The topic as server-sent events, over plain HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil
import pytest
from redis.asyncio import Redis

from services.broadcaster.connection import GOODBYE_S
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from shared.operation import Draft
from tests.support.broadcaster import TOKEN, Broadcaster, FakeAuthenticator, Producer, broadcasting, principal
from tests.support.client_topic import ClientTopic
from tests.support.log import open_log

LARGE = Draft(id="s_1", action="put", data=b'{"notes":"%s"}' % (b"x" * 100_000))

Event = dict[str, str]


class Stream:
    """A stream of events, read within a deadline."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def event(self) -> Event:
        """Return the fields of the next event; a comment is one without fields."""
        fields: Event = {}
        async with asyncio.timeout(5):
            async for line in self._lines:
                if not line:
                    return fields
                name, _, value = line.partition(": ")
                if name != ":":
                    fields[name] = value
        raise EOFError

    async def message(self) -> dict[str, Any]:
        """Return what the next event says."""
        message: dict[str, Any] = json.loads((await self.event())["data"])
        return message


@asynccontextmanager
async def stream(
    broadcaster: Broadcaster, query: str = "topic=servers", token: str = TOKEN, **headers: str
) -> AsyncIterator[Stream]:
    url = f"http://127.0.0.1:{broadcaster.port}/events?{query}"
    sent = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url, headers=sent) as response:
        yield Stream(response)


async def test_a_stream_begins_with_a_snapshot_and_goes_on_with_changes(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1", name="one")
    async with broadcasting(redis, people) as broadcaster, stream(broadcaster) as events:
        assert (200, "text/event-stream") == (events.response.status_code, events.response.headers["content-type"])
        snapshot = await events.event()
        assert ("snapshot", "1-1") == (snapshot["event"], snapshot["id"])
        assert [{"id": "s_1", "version": 1, "data": {"name": "one"}}] == json.loads(snapshot["data"])["items"]
        await producer.put("s_2", name="two")
        changes = await events.event()
        assert ("changes", "1-2", "s_2") == (
            changes["event"],
            changes["id"],
            json.loads(changes["data"])["changes"][0]["id"],
        )


async def test_a_stream_resumes_after_the_last_event(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    for number in range(3):
        await producer.put("s_1", number=number)
    async with broadcasting(redis, people) as broadcaster:
        async with stream(broadcaster, Last_Event_ID="1-2") as events:
            assert [("subscribed", "1-2"), ("changes", "1-3")] == [
                (event["event"], event["id"]) for event in (await events.event(), await events.event())
            ]
        async with stream(broadcaster, Last_Event_ID="nonsense") as events:
            assert "snapshot" == (await events.event())["event"]


async def test_a_bookmark_is_no_place_to_resume_from(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1", name="one")
    async with broadcasting(redis, people) as broadcaster, stream(broadcaster) as events:
        last_id = (await events.event())["id"]
        await open_log(redis, epoch=2)
        bookmark = await events.event()
        assert ("bookmark", None) == (bookmark["event"], bookmark.get("id"))
        async with stream(broadcaster, Last_Event_ID=bookmark.get("id", last_id)) as again:
            snapshot = await again.event()
            assert ("snapshot", "2-0") == (snapshot["event"], snapshot["id"])


async def test_a_large_snapshot_can_be_resumed_from_only_when_it_is_complete(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.append(
        *(Draft(id=f"s_{n}", action="put", data=b'{"notes":"%s"}' % (b"x" * 900)) for n in range(1_000))
    )
    async with broadcasting(redis, people) as broadcaster, stream(broadcaster) as events:
        parts = [await events.event() for _ in range(4)]
        assert [None, None, None, "1-1000"] == [part.get("id") for part in parts]


@pytest.mark.parametrize("delivery", ["batch", "each", "full"])
async def test_every_delivery_leads_to_what_the_log_says(
    redis: Redis, producer: Producer, people: FakeAuthenticator, delivery: str
) -> None:
    topic = ClientTopic()
    topic.ask()
    async with (
        broadcasting(redis, people) as broadcaster,
        stream(broadcaster, f"topic=servers&delivery={delivery}") as events,
    ):
        topic.receive(await events.message())
        for number in range(20):
            await producer.put(f"s_{number % 7}", number=number)
        while topic.version < 20:
            assert topic.receive(await events.message()) is None
    assert {f"s_{n % 7}": {"number": n} for n in range(13, 20)} == {key: i.data for key, i in topic.items.items()}


async def test_a_silent_stream_is_kept_alive(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people, heartbeat_s=0.05) as broadcaster, stream(broadcaster) as events:
        assert ["snapshot", None] == [(await events.event()).get("event") for _ in range(2)]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("topic=nothing", (404, "unknown_topic")),
        ("topic=servers&workspace=w_foreign", (403, "forbidden")),
        ("topic=servers&delivery=some", (400, "bad_request")),
        ("topic=servers&tick_ms=soon", (400, "bad_request")),
        ("topic=servers&token=secret", (400, "bad_request")),
        ("", (400, "bad_request")),
    ],
)
async def test_a_wrong_request_is_answered_with_a_problem(
    redis: Redis, people: FakeAuthenticator, query: str, problem: tuple[int, str]
) -> None:
    async with broadcasting(redis, people) as broadcaster, stream(broadcaster, query) as events:
        answer = json.loads(await events.response.aread())
    assert (problem, problem[0]) == ((answer["status"], answer["code"]), events.response.status_code)


async def test_an_unknown_token_is_answered_with_a_problem(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, stream(broadcaster, token="wrong") as events:
        assert (401, "Bearer") == (events.response.status_code, events.response.headers["www-authenticate"])


async def test_a_stream_that_was_refused_does_not_keep_its_place(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster:
        async with stream(broadcaster, token="wrong") as events:
            await events.response.aread()
        async with asyncio.timeout(GOODBYE_S / 2):
            while len(broadcaster.connections):
                await asyncio.sleep(0.01)


async def test_a_login_that_ends_ends_the_stream(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people, logins_check_s=0.05) as broadcaster, stream(broadcaster) as events:
        assert "snapshot" == (await events.event())["event"]
        people.ended.add("session_1")
        assert "unauthenticated" == (await events.message())["code"]
        with pytest.raises(EOFError):
            await events.event()


async def test_draining_ends_streams(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, stream(broadcaster) as events:
        assert "snapshot" == (await events.event())["event"]
        await broadcaster.connections.drain()
        with pytest.raises(EOFError):
            await events.event()
        async with stream(broadcaster) as late:
            assert 503 == late.response.status_code


def served_from(port: int) -> int:
    """Return how many sockets of this process stand on the server's side of a connection."""
    return sum(bool(c.laddr.port == port and c.raddr) for c in psutil.Process().net_connections("tcp"))


@asynccontextmanager
async def unread_stream(broadcaster: Broadcaster, query: str, *headers: str) -> AsyncIterator[None]:
    """Ask for a stream, and read no more of it than its first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broadcaster.port)
    head = (f"GET /events?{query} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", *headers, "", "")
    writer.write("\r\n".join(head).encode())
    await reader.readline()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # of the transport of a reader
    try:
        yield
    finally:
        writer.transport.abort()


async def test_draining_does_not_wait_for_a_client_that_does_not_read(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.append(*(Draft(id=f"s_{n}", action="put", data=b'"%s"' % (b"x" * 100_000)) for n in range(150)))
    async with (
        broadcasting(redis, people) as broadcaster,
        unread_stream(broadcaster, "topic=servers&delivery=full", "Last-Event-ID: 1-150"),
    ):
        (channel,) = broadcaster.hub._channels.values()
        await producer.put("s_1")
        async with asyncio.timeout(10):
            while all(lane._sent < 151 for lane in channel._lanes.values()):
                await asyncio.sleep(0.01)
        await broadcaster.connections.drain()
        async with asyncio.timeout(2 * GOODBYE_S):
            while served_from(broadcaster.port):
                await asyncio.sleep(0.01)


async def test_a_client_that_never_reads_is_dropped_with_all_that_waits_for_it(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    bounds = Bounds(high_water_bytes=500_000, stall_s=0.3)
    async with (
        broadcasting(redis, people, pace=Pace(tick_s=0.001), bounds=bounds) as broadcaster,
        unread_stream(broadcaster, "topic=servers"),
        asyncio.timeout(30),
    ):
        while len(broadcaster.connections):
            await producer.append(LARGE)
        while served_from(broadcaster.port):
            await asyncio.sleep(0.01)


async def test_a_client_that_has_gone_leaves_nothing_behind(redis: Redis, people: FakeAuthenticator) -> None:
    people.principals["other"] = principal(user="u_2")
    async with broadcasting(redis, people) as broadcaster:
        async with stream(broadcaster, token="other") as events:
            assert "snapshot" == (await events.event())["event"]
        async with asyncio.timeout(5):
            while len(broadcaster.connections):
                await asyncio.sleep(0.01)
        (channel,) = broadcaster.hub._channels.values()
        assert {} == channel._subscribers
