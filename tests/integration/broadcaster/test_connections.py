"""Who may connect, for how long, and what the endpoint does with those who are hostile, slow or forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from services.broadcaster import metrics
from services.broadcaster.limits import Limits
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from shared.io.identity import Memberships
from shared.operation import Draft
from tests.support.broadcaster import (
    TOKEN,
    Broadcaster,
    FakeAuthenticator,
    Producer,
    broadcasting,
    principal,
    raw_client,
)
from tests.support.sync_client import SUBPROTOCOL, SyncClient

SUBSCRIBE = {"op": "subscribe", "topic": "servers"}
LARGE = Draft(id="s_1", action="put", data=b'{"notes":"%s"}' % (b"x" * 100_000))
FAST = Pace(tick_s=0.001)


async def test_a_welcome_says_who_and_for_how_long(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, None) as client:
        assert SUBPROTOCOL == client.connection.subprotocol
        await client.send({"op": "auth", "token": TOKEN})
        welcome = await client.receive()
    assert ["op", "session", "server_time", "heartbeat_s", "expires_at", "workspaces"] == list(welcome)
    assert [{"id": "w_first", "name": "W_First", "role": "viewer"}] == welcome["workspaces"]


async def handshake(
    broadcaster: Broadcaster,
    path: str = "/ws",
    *,
    origin: Origin | None = None,
    subprotocols: list[Subprotocol] | None = None,
) -> int:
    """Return the status with which a handshake is answered."""
    url = broadcaster.url.removesuffix("/ws") + path
    try:
        async with connect(url, proxy=None, origin=origin, subprotocols=subprotocols):
            return 101
    except InvalidStatus as refused:
        problem = json.loads(refused.response.body or b"")
        return problem["status"] if problem["status"] == refused.response.status_code else -1


async def test_pages_of_other_origins_are_refused(redis: Redis, people: FakeAuthenticator) -> None:
    origins = frozenset({"https://partner.example"})
    async with broadcasting(redis, people, origins=origins) as broadcaster:
        answers = {
            origin: await handshake(broadcaster, origin=None if origin is None else Origin(origin))
            for origin in (
                None,
                f"http://127.0.0.1:{broadcaster.port}",
                "https://partner.example",
                "https://evil.example",
                "null",
            )
        }
    assert [101, 101, 101, 403, 403] == list(answers.values())


async def test_another_subprotocol_is_refused(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster:
        offers = (None, [SUBPROTOCOL], [Subprotocol("muster.v2"), SUBPROTOCOL], [Subprotocol("muster.v2")])
        answers = [await handshake(broadcaster, subprotocols=offer) for offer in offers]
    assert [101, 101, 101, 400] == answers


async def test_there_is_nothing_at_other_paths(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster:
        assert 404 == await handshake(broadcaster, "/other")


@pytest.mark.parametrize(("path", "status"), [("/ws", b"426"), ("/other", b"404"), ("/health", b"200")])
async def test_plain_http_is_answered(redis: Redis, people: FakeAuthenticator, path: str, status: bytes) -> None:
    async with broadcasting(redis, people) as broadcaster:
        reader, writer = await asyncio.open_connection("127.0.0.1", broadcaster.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert status == (await reader.readline()).split()[1]
        writer.close()
        await writer.wait_closed()


async def test_an_unknown_token_closes_with_4401(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, None) as client:
        await client.send({"op": "auth", "token": "wrong"})
        code, messages = await client.close_code()
    refusal = {"op": "error", "code": "unauthenticated", "message": "the token is unknown"}
    assert (4401, [refusal]) == (code, messages)


async def test_who_does_not_authenticate_is_closed_with_4401(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(auth_within_s=0.1)
    async with broadcasting(redis, people, limits=limits) as broadcaster, raw_client(broadcaster, None) as client:
        assert 4401 == (await client.close_code())[0]


async def test_who_subscribes_before_authenticating_is_closed_with_4401(
    redis: Redis, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, None) as client:
        await client.send(SUBSCRIBE)
        assert 4401 == (await client.close_code())[0]


async def test_a_token_that_expires_closes_with_4401(redis: Redis, people: FakeAuthenticator) -> None:
    people.principals["short"] = principal(lasts=timedelta(seconds=0.3))
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, "short") as client:
        assert 4401 == (await client.close_code())[0]


async def test_a_renewed_token_keeps_the_connection(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    people.principals["short"] = principal(lasts=timedelta(seconds=0.3))
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, "short") as client:
        await client.send(SUBSCRIBE)
        await client.receive()
        await client.send({"op": "auth", "token": TOKEN})
        assert "welcome" == (await client.receive())["op"]
        await asyncio.sleep(0.4)  # the first token is over
        await producer.put("s_1")
        assert "changes" == (await client.receive())["op"]


async def test_a_renewal_that_cannot_be_checked_leaves_the_connection(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        people.is_down = True
        await client.send({"op": "auth", "token": TOKEN})
        refusal = await client.receive()
        assert ("unavailable", 500) == (refusal["code"], refusal["retry_after_ms"])
        await client.send(SUBSCRIBE)
        assert "snapshot" == (await client.receive())["op"]


async def test_who_cannot_be_identified_now_is_sent_away_for_a_while(redis: Redis, people: FakeAuthenticator) -> None:
    people.is_down = True
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster, None) as client:
        await client.send({"op": "auth", "token": TOKEN})
        code, (refusal,) = await client.close_code()
    assert (1013, "unavailable", 500) == (code, refusal["code"], refusal["retry_after_ms"])


async def test_a_revoked_login_closes_with_4401(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people, logins_check_s=0.05) as broadcaster, raw_client(broadcaster) as client:
        people.ended.add("session_1")
        assert 4401 == (await client.close_code())[0]


class SlowAuthenticator(FakeAuthenticator):
    """Takes its time to look up sessions, until it `may_answer`; `lookups` is how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = 0
        self.may_answer = asyncio.Event()

    async def standing(self, ids: Iterable[str]) -> dict[str, Memberships]:
        standing = await super().standing(ids)
        self.lookups += 1
        await self.may_answer.wait()
        return standing

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(5):
            while self.lookups < times:
                await asyncio.sleep(0.01)


async def test_who_logs_in_anew_while_logins_are_looked_up_stays(redis: Redis) -> None:
    people = SlowAuthenticator()
    people.principals["newer"] = principal(session="session_2")
    people.ended.add("session_1")
    async with broadcasting(redis, people, logins_check_s=0.01) as broadcaster, raw_client(broadcaster) as client:
        await people.was_asked(1)
        await client.send({"op": "auth", "token": "newer"})
        assert "welcome" == (await client.receive())["op"]
        people.may_answer.set()
        await people.was_asked(2)
        await client.send(SUBSCRIBE)
        assert "snapshot" == (await client.receive())["op"]


async def test_an_ended_membership_ends_the_subscription(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        await client.send(SUBSCRIBE)
        await client.receive()
        people.principals[TOKEN] = principal("w_other")
        await client.send({"op": "auth", "token": TOKEN})
        await client.until("welcome")
        assert "forbidden" == (await client.receive())["code"]
        await producer.put("s_1")
        await client.send({"op": "check", "topic": "servers"})
        assert "bad_request" == (await client.receive())["code"]


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[]",
        '{"op":"dance"}',
        '{"op":"' + "ü" * 300 + '"}',
        '{"op":"subscribe"}',
        b'{"op":"check","topic":"servers"}',
        b"\xff",
        '{"op":"check","topic":"' + "x" * 20_000 + '"}',
        '{"op":"check","topic":' + "[" * 10_000,
    ],
    ids=[
        "not JSON",
        "no object",
        "unknown op",
        "long unknown op",
        "field missing",
        "binary",
        "binary nonsense",
        "too large",
        "too deep",
    ],
)
async def test_a_malformed_message_closes_with_4400(
    redis: Redis, people: FakeAuthenticator, message: str | bytes
) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        await client.connection.send(message)
        code, (refusal,) = await client.close_code()
    assert (4400, "bad_request") == (code, refusal["code"])


async def test_too_many_messages_close_with_4429(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(messages_burst=10, messages_per_s=1)
    async with broadcasting(redis, people, limits=limits) as broadcaster, raw_client(broadcaster) as client:
        for _ in range(12):
            await client.send({"op": "check", "topic": "servers"})
        code, messages = await client.close_code()
    assert (4429, "too_many", 10_000) == (code, messages[-1]["code"], messages[-1]["retry_after_ms"])


async def test_too_many_connections_close_with_4429(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(connections=1)
    async with (
        broadcasting(redis, people, limits=limits) as broadcaster,
        raw_client(broadcaster),
        raw_client(broadcaster, None) as surplus,
    ):
        assert 4429 == (await surplus.close_code())[0]


async def test_too_many_connections_from_one_address_close_with_4429(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(connections_per_address=1)
    async with broadcasting(redis, people, limits=limits) as broadcaster:
        async with raw_client(broadcaster), raw_client(broadcaster, None) as surplus:
            code, (refusal,) = await surplus.close_code()
            assert (4429, "too many connections from one address") == (code, refusal["message"])
        await _until_gone(broadcaster)
        async with raw_client(broadcaster):
            pass


async def test_too_many_connections_of_one_user_close_with_4429(redis: Redis, people: FakeAuthenticator) -> None:
    limits = Limits(connections_per_user=1)
    async with broadcasting(redis, people, limits=limits) as broadcaster:
        async with raw_client(broadcaster), raw_client(broadcaster, None) as surplus:
            await surplus.send({"op": "auth", "token": TOKEN})
            assert 4429 == (await surplus.close_code())[0]
        await _until_gone(broadcaster)
        async with raw_client(broadcaster):
            pass


async def test_draining_closes_with_4503(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster, raw_client(broadcaster) as client:
        await broadcaster.connections.drain()
        assert 4503 == (await client.close_code())[0]
        async with raw_client(broadcaster, None) as late:
            assert 4503 == (await late.close_code())[0]


async def test_the_memory_of_a_client_that_never_reads_is_bounded_and_it_is_dropped(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    bounds = Bounds(high_water_bytes=500_000, stall_s=0.5)
    async with (
        broadcasting(redis, people, pace=FAST, bounds=bounds) as broadcaster,
        SyncClient(broadcaster.url, TOKEN) as reader,
        raw_client(broadcaster) as silent,
    ):
        await silent.send(SUBSCRIBE)
        await silent.receive()
        silent.connection.transport.pause_reading()
        await reader.until(lambda state: state.epoch == "1")
        closed_before = closes_of_the_slow()
        highest = 0
        async with asyncio.timeout(30):
            while len(broadcaster.connections._connections) > 1:
                await producer.append(LARGE)
                highest = max(highest, *(c.outbox.queued_bytes for c in broadcaster.connections._connections))
        version = await producer.append(LARGE)
        await reader.until(lambda state: state.version == version)
        silent.connection.transport.resume_reading()
        assert 1006 == (await silent.close_code())[0]  # dropped, with all that it had not read
    assert 1 == closes_of_the_slow() - closed_before
    assert 400_000 < highest < 700_000


async def test_a_slow_client_that_reads_again_catches_up(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    bounds = Bounds(high_water_bytes=200_000)
    async with (
        broadcasting(redis, people, pace=FAST, bounds=bounds) as broadcaster,
        raw_client(broadcaster) as client,
    ):
        await client.send(SUBSCRIBE)
        mine = (await client.receive())["version"]
        client.connection.transport.pause_reading()
        (connection,) = broadcaster.connections._connections
        async with asyncio.timeout(30):
            while connection.outbox.has_room:
                await producer.append(LARGE)
        version = await producer.append(LARGE)
        client.connection.transport.resume_reading()
        while mine < version:
            changes = await client.receive()
            assert mine == changes["prev"]
            mine = changes["version"]


async def test_a_client_that_vanishes_leaves_nothing_behind(redis: Redis, people: FakeAuthenticator) -> None:
    async with broadcasting(redis, people) as broadcaster:
        async with raw_client(broadcaster) as client:
            await client.send(SUBSCRIBE)
            await client.receive()
            client.connection.transport.abort()
        await _until_gone(broadcaster)
        (channel,) = broadcaster.hub._channels.values()
        assert {} == channel._subscribers


def closes_of_the_slow() -> float:
    """Return how many connections were closed for being too slow."""
    return float(metrics.CLOSES.labels("4408")._value.get())


async def _until_gone(broadcaster: Broadcaster) -> None:
    """Wait until the broadcaster knows of no connection."""
    async with asyncio.timeout(5):
        while broadcaster.connections._connections:
            await asyncio.sleep(0.01)
