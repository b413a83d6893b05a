"""A user never sees, over /ws, /events or /socket.io/, a record of a workspace that is not theirs.

Each intruder asks for what others have in every message and parameter. What they are told is, but for the words that
they have sent, what they are told of a workspace that exists nowhere; and who listens hears nothing of what others do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.broadcaster.authenticator import DatabaseAuthenticator
from services.broadcaster.journal import DatabaseJournal
from shared.io.identity import Identity
from shared.resources import RESOURCES
from tests.support.api import Api
from tests.support.broadcaster import Broadcaster, broadcasting
from tests.support.intruders import INTRUDERS, MEMBER_OF_ANOTHER, MEMBER_OF_BOTH, PROGRAM, Headers
from tests.support.socketio_client import python_client
from tests.support.sync_client import SUBPROTOCOL
from tests.support.two_workspaces import EDITIONS, NOWHERE, OURS, THEIRS, Names, as_of_theirs, edit

_END = "zzz_end"
"""A topic that there is not: the refusal of it is the last that a client hears."""

_PASSING = {"session", "server_time", "expires_at", "at"}
_WITHIN_S = 10.0

# over a stream, whoever is a member of both may name either
OUTSIDERS = [who for who in INTRUDERS if who != MEMBER_OF_BOTH]


@pytest_asyncio.fixture
async def broadcaster(api: Api) -> AsyncIterator[Broadcaster]:
    """Give a broadcaster that both workspaces are served by."""
    journal: Any = DatabaseJournal(api.pool)
    async with broadcasting(api.redis, DatabaseAuthenticator(Identity(api.pool)), journal=journal) as broadcaster:
        yield broadcaster


def token_of(headers: Headers) -> str:
    return headers.get("Authorization", "").removeprefix("Bearer ")


def told(words: bytes) -> list[bytes]:
    """Return what is disclosed of the others."""
    return [word for word in THEIRS.disclosures() if word in words]


def messages(names: Names) -> Iterator[dict[str, Any]]:
    """Yield messages that name a workspace in every field that takes a text."""
    for resource in RESOURCES:
        for op in ("subscribe", "check", "unsubscribe"):
            yield {"op": op, "topic": resource, "workspace": names.workspace}
    since = {"epoch": "1", "version": EDITIONS}
    for delivery in ("batch", "each", "full"):
        yield {"op": "subscribe", "topic": "tags", "workspace": names.workspace, "delivery": delivery, "since": since}
    for topic in (f"{names.workspace}:tags", f"{names.workspace}/tags", f"tags:{names.workspace}", names.named):
        yield {"op": "subscribe", "topic": topic}
    yield {"op": "subscribe", "topic": "tags", "workspace": OURS.workspace, "delivery": names.named}
    yield {"op": "subscribe", "topic": _END}


async def over_websocket(broadcaster: Broadcaster, headers: Headers, names: Names) -> bytes:
    """Return all that is said to who names a workspace."""
    async with connect(broadcaster.url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None) as connection:
        with suppress(ConnectionClosed):
            await connection.send(json.dumps({"op": "auth", "token": token_of(headers)}))
            for message in messages(names):
                await connection.send(json.dumps(message))
        return b"\n".join(await heard(connection, _END))


async def heard(connection: ClientConnection, last: str) -> list[bytes]:
    """Return what comes up to a message that has this in it, or until the connection is closed, and how."""
    found: list[bytes] = []
    try:
        async with asyncio.timeout(_WITHIN_S):
            while not found or last.encode() not in found[-1]:
                fields = json.loads(await connection.recv()).items()
                found.append(json.dumps({name: value for name, value in fields if name not in _PASSING}).encode())
    except ConnectionClosed as closed:
        found.append(str(closed.rcvd).encode())
    return found


async def over_events(broadcaster: Broadcaster, headers: Headers, names: Names) -> bytes:
    """Return all that is said to who names a workspace."""
    queries = [{"topic": resource, "workspace": names.workspace} for resource in RESOURCES]
    queries += [{"topic": f"{names.workspace}:tags"}, {"topic": names.named}, {"topic": "tags", names.named: "x"}]
    queries += [{"topic": "tags", "workspace": names.workspace, "delivery": each} for each in ("each", "full")]
    found = []
    async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN_S, base_url=broadcaster.socketio_url) as http:
        for query in queries:
            for resumed in ({}, {"Last-Event-ID": f"1-{EDITIONS - 1}"}):
                answer = await http.get("/events", params=query, headers=headers | resumed)
                found += [str(answer.status_code).encode(), answer.content]
    return b"\n".join(found)


async def over_socketio(broadcaster: Broadcaster, headers: Headers, names: Names) -> bytes:
    """Return all that is said to who names a workspace."""
    asked: list[tuple[str, Any]] = []
    for resource in RESOURCES:
        asked.append((f"request:{resource}", {"workspace": names.workspace}))
        asked.append((f"request:{resource}", {"workspace": names.workspace, "lastEventId": EDITIONS - 1}))
    rooms = (f"{names.workspace}:tags", f"{names.workspace}/tags", f"tags:{names.workspace}", names.named)
    asked += [(f"request:{room}", {}) for room in rooms]
    asked.append((f"request:{_END}", {}))
    found: list[bytes] = []
    async with python_client(broadcaster.socketio_url, {"token": token_of(headers)}) as client:
        for event, argument in asked if client.sio.connected else ():
            await client.emit(event, argument)
        while not found or (_END.encode() not in found[-1] and b"connect_error" not in found[-1]):
            found.append(json.dumps(await client.event()).encode())
    return b"\n".join(found)


DOORS = {"/ws": over_websocket, "/events": over_events, "/socket.io/": over_socketio}


@pytest.mark.parametrize("who", OUTSIDERS)
async def test_no_stream_tells_what_others_have_from_what_nobody_has(
    api: Api, broadcaster: Broadcaster, who: str
) -> None:
    headers = await INTRUDERS[who](api)
    for path, go in DOORS.items():
        theirs = await go(broadcaster, headers, THEIRS)
        assert (path, []) == (path, told(theirs))
        assert theirs == as_of_theirs(await go(broadcaster, headers, NOWHERE)), path


async def test_members_are_told_what_tells_on_others(api: Api, broadcaster: Broadcaster) -> None:
    """What the other tests look for is there to be heard."""
    member = await api.let_in(THEIRS.named)
    async with connect(broadcaster.url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None) as connection:
        await connection.send(json.dumps({"op": "auth", "token": token_of(member)}))
        for resource in RESOURCES:
            await connection.send(json.dumps({"op": "subscribe", "topic": resource}))
            assert told((await heard(connection, '"items"'))[-1]), resource
    async with python_client(broadcaster.socketio_url, {"token": token_of(member)}) as client:
        await client.emit("request:tags", {"lastEventId": EDITIONS - 1})
        assert ["connect", "connected", "tags:update"] == [(await client.event())[0] for _ in range(3)]


@pytest.mark.parametrize("who", [MEMBER_OF_ANOTHER, PROGRAM])
async def test_who_listens_to_everything_hears_nothing_of_what_others_do(
    api: Api, broadcaster: Broadcaster, who: str
) -> None:
    token = token_of(await INTRUDERS[who](api))
    async with AsyncExitStack() as stack:
        sockets = []
        for delivery in ("batch", "each", "full"):
            opening = connect(broadcaster.url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None)
            connection = await stack.enter_async_context(opening)
            await connection.send(json.dumps({"op": "auth", "token": token}))
            sockets.append(connection)
            for resource in RESOURCES:
                await connection.send(json.dumps({"op": "subscribe", "topic": resource, "delivery": delivery}))
                assert [] == told(b"".join(await heard(connection, '"items"')))
        client = await stack.enter_async_context(python_client(broadcaster.socketio_url, {"token": token}))
        for resource in RESOURCES:
            await client.emit(f"request:{resource}")
        initial = [await client.event() for _ in range(2 + len(RESOURCES))]
        assert [] == told(json.dumps(initial).encode())
        for number, one in enumerate(RESOURCES.values()):
            await edit(api, THEIRS, one, number % EDITIONS)
        await edit(api, OURS, RESOURCES["tags"], 0)
        for connection in sockets:
            # a frame of their topics would have come before
            (heard_of,) = await heard(connection, '"tags"')
            assert THEIRS.named.encode() not in heard_of
        name, update = await client.event()
        assert ("tags:update", EDITIONS + 1) == (name, update["eventId"])
