"""Streams of who has lost a login, a token or a membership end within a second, in every replica.

The look that is taken at all logins every few seconds is as good as turned off here, but where that is said.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.broadcaster.authenticator import DatabaseAuthenticator
from shared.io.identity import Identity
from tests.support.api import PASSWORD, WORKSPACE, Api, running_api
from tests.support.broadcaster import Broadcaster, RawClient, broadcasting, raw_client
from tests.support.log import open_log

NEVER_S = 3600.0
AT_ONCE_S = 1.0
SUBSCRIBE = {"op": "subscribe", "topic": "servers", "workspace": WORKSPACE}
MEMBER = f"/api/v1/workspaces/{WORKSPACE}/members"

Headers = dict[str, str]
Loss = Callable[[Api, Headers], Awaitable[httpx.Response]]


@pytest_asyncio.fixture
async def api(redis_url: str, database_url: str) -> AsyncIterator[Api]:
    """Give an api with an open log."""
    async with running_api(redis_url, database_url, appliers=False) as api:
        await open_log(api.redis)
        yield api


def replica(api: Api, logins_check_s: float = NEVER_S) -> Any:  # noqa: ANN401  (a context manager)
    """Run a broadcaster that knows who is who as its process would."""
    return broadcasting(api.redis, DatabaseAuthenticator(Identity(api.pool)), logins_check_s=logins_check_s)


def token_of(headers: Headers) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


@asynccontextmanager
async def socket(broadcaster: Broadcaster, headers: Headers) -> AsyncIterator[RawClient]:
    """Give a WebSocket that is subscribed."""
    async with raw_client(broadcaster, token_of(headers)) as client:
        await client.send(SUBSCRIBE)
        assert "snapshot" == (await client.receive())["op"]
        yield client


class EventStream:
    """A stream of events that has begun."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def last_words(self) -> dict[str, Any]:
        """Return what the last event says, once the stream has ended."""
        data = [line.removeprefix("data: ") async for line in self._lines if line.startswith("data: ")]
        words: dict[str, Any] = json.loads(data[-1])
        return words


@asynccontextmanager
async def event_stream(broadcaster: Broadcaster, headers: Headers) -> AsyncIterator[EventStream]:
    """Give a stream of server-sent events that has begun."""
    url = f"http://127.0.0.1:{broadcaster.port}/events?topic=servers&workspace={WORKSPACE}"
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url, headers=headers) as response:
        assert 200 == response.status_code
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("data: "):
                break
        yield EventStream(lines)


async def log_out(api: Api, headers: Headers) -> httpx.Response:
    return await api.http.post("/api/v1/auth/logout", headers=headers)


async def change_the_password_elsewhere(api: Api, headers: Headers) -> httpx.Response:
    del headers
    body = {"current": PASSWORD, "new": "another horse, another battery"}
    return await api.http.post("/api/v1/me/password", json=body, headers=await api.let_in("viewer"))


async def be_disabled(api: Api, headers: Headers) -> httpx.Response:
    del headers
    admin = await api.let_in("admin")
    return await api.http.patch("/api/v1/users/u_viewer", json={"disabled": True}, headers=admin)


async def be_deleted(api: Api, headers: Headers) -> httpx.Response:
    del headers
    return await api.http.delete("/api/v1/users/u_viewer", headers=await api.let_in("admin"))


async def be_removed(api: Api, headers: Headers) -> httpx.Response:
    del headers
    return await api.http.delete(f"{MEMBER}/u_viewer", headers=await api.let_in("owner"))


async def have_the_token_revoked(api: Api, headers: Headers) -> httpx.Response:
    del headers
    owner = await api.let_in("owner")
    (token,) = (await api.http.get("/api/v1/tokens", headers=owner)).json()["items"]
    return await api.http.delete(f"/api/v1/tokens/{token['id']}", headers=owner)


async def by_login(api: Api) -> Headers:
    return await api.let_in("viewer")


async def by_api_token(api: Api) -> Headers:
    return await api.let_program_in("viewer", "read")


@pytest.mark.parametrize(
    ("enter", "lose"),
    [
        (by_login, log_out),
        (by_login, change_the_password_elsewhere),
        (by_login, be_disabled),
        (by_login, be_deleted),
        (by_api_token, be_disabled),
        (by_api_token, be_deleted),
        (by_api_token, be_removed),
        (by_api_token, have_the_token_revoked),
    ],
)
async def test_a_login_that_ends_takes_its_streams_along(
    api: Api, enter: Callable[[Api], Awaitable[Headers]], lose: Loss
) -> None:
    headers = await enter(api)
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(replica(api)) for _ in range(2)]
        sockets = [await stack.enter_async_context(socket(one, headers)) for one in replicas]
        streams = [await stack.enter_async_context(event_stream(one, headers)) for one in replicas]
        assert (await lose(api, headers)).is_success
        async with asyncio.timeout(AT_ONCE_S):
            for client in sockets:
                assert 4401 == (await client.close_code())[0]
            for stream in streams:
                assert "unauthenticated" == (await stream.last_words())["code"]


async def test_a_membership_that_ends_takes_its_topics_along(api: Api) -> None:
    headers = await by_login(api)
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(replica(api)) for _ in range(2)]
        sockets = [await stack.enter_async_context(socket(one, headers)) for one in replicas]
        streams = [await stack.enter_async_context(event_stream(one, headers)) for one in replicas]
        assert (await be_removed(api, headers)).is_success
        async with asyncio.timeout(AT_ONCE_S):
            for client in sockets:
                assert "forbidden" == (await client.until("error"))["code"]
            for stream in streams:
                assert "forbidden" == (await stream.last_words())["code"]
        for client in sockets:
            await client.send(SUBSCRIBE)
            assert "forbidden" == (await client.receive())["code"]


async def test_who_changes_the_password_keeps_their_own_stream(api: Api) -> None:
    mine, other = await by_login(api), await by_login(api)
    async with replica(api) as broadcaster, socket(broadcaster, mine) as kept, socket(broadcaster, other) as ended:
        body = {"current": PASSWORD, "new": "another horse, another battery"}
        assert (await api.http.post("/api/v1/me/password", json=body, headers=mine)).is_success
        assert 4401 == (await ended.close_code(timeout_s=AT_ONCE_S))[0]
        await kept.send({"op": "check", "topic": "servers"})
        assert "bookmark" == (await kept.receive())["op"]


async def test_a_new_membership_is_there_for_who_signs_in_at_once(api: Api) -> None:
    nobody, owner = await api.let_in("nobody"), await api.let_in("owner")
    async with replica(api) as broadcaster:
        async with raw_client(broadcaster, token_of(nobody)):
            pass  # the replica remembers who that is
        invited = {"email": "nobody@example.org", "role": "viewer"}
        answer = await api.http.post(f"/api/v1/workspaces/{WORKSPACE}/invitations", json=invited, headers=owner)
        body = {"token": answer.json()["token"]}
        assert (await api.http.post("/api/v1/invitations/accept", json=body, headers=nobody)).is_success
        async with asyncio.timeout(AT_ONCE_S):
            while not await is_let_in(broadcaster, nobody):
                pass


async def is_let_in(broadcaster: Broadcaster, headers: Headers) -> bool:
    async with raw_client(broadcaster, token_of(headers)) as client:
        await client.send(SUBSCRIBE)
        return bool((await client.receive())["op"] == "snapshot")


@pytest.mark.parametrize(
    ("statement", "code"), [("UPDATE sessions SET revoked_at = now()", 4401), ("DELETE FROM members", None)]
)
async def test_what_was_not_announced_is_found_all_the_same(api: Api, statement: str, code: int | None) -> None:
    headers = await by_login(api)
    async with replica(api, logins_check_s=0.05) as broadcaster, socket(broadcaster, headers) as client:
        await api.pool.execute(statement)
        if code is not None:
            assert code == (await client.close_code())[0]
        else:
            assert "forbidden" == (await client.until("error"))["code"]


async def test_what_was_announced_while_nobody_listened_is_found_on_return(api: Api) -> None:
    headers = await by_login(api)
    async with replica(api) as broadcaster, socket(broadcaster, headers) as client:
        await api.pool.execute("UPDATE sessions SET revoked_at = now()")
        await api.redis.client_kill_filter(_type="pubsub")
        assert 4401 == (await client.close_code())[0]
