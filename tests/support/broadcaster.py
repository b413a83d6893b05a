"""A broadcaster inside the test's own process, on a free port, over a real log; and identities without a database."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.broadcaster.app import build_app
from services.broadcaster.authenticator import Authenticator
from services.broadcaster.connection import Surroundings
from services.broadcaster.connections import Connections
from services.broadcaster.event_feed import Event
from services.broadcaster.events import EventsEndpoint
from services.broadcaster.hub import Hub, utc_now
from services.broadcaster.limits import Limits
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.socketio_endpoint import SocketIoEndpoint
from services.broadcaster.socketio_link import Past
from services.broadcaster.transport import SyncProtocol
from services.broadcaster.websocket import SyncEndpoint
from shared.errors import RetryLater, Unauthenticated
from shared.io import lifecycle
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.identity import Memberships
from shared.io.identity_changes import IdentityChanges
from shared.io.probes import Probes
from shared.names import Topic
from shared.operation import Draft, Operation
from shared.settings import Http
from shared.tokens import Membership, Principal
from tests.support.sync_client import SUBPROTOCOL

WORKSPACE = "w_first"
TOKEN = "token-of-u_1"
SERVERS = Topic(WORKSPACE, "servers")

PACE, LIMITS, BOUNDS = Pace(), Limits(), Bounds()

Messages = list[dict[str, Any]]


class FakeAuthenticator:
    """Knows the tokens in `principals`; `is_down` makes it answer that it cannot tell."""

    def __init__(self) -> None:
        self.principals = {TOKEN: principal()}
        self.ended: set[str] = set()
        self.memberships: dict[str, Memberships] = {}
        """By session, those of all that it was let in with, unless the test changes them."""
        self.is_down = False

    async def authenticate(self, token: str) -> Principal:
        """Return who is known by this token."""
        if self.is_down:
            raise RetryLater("tokens cannot be checked", retry_after_s=0.5)
        if token not in self.principals:
            raise Unauthenticated("the token is unknown")
        principal = self.principals[token]
        known = self.memberships.get(principal.session_id, ())
        self.memberships[principal.session_id] = tuple(dict.fromkeys((*known, *principal.memberships)))
        return principal

    async def standing(self, ids: Iterable[str]) -> dict[str, Memberships]:
        """Return those of the sessions that the test has not ended."""
        if self.is_down:
            raise RetryLater("sessions cannot be looked up")
        return {one: self.memberships[one] for one in ids if one not in self.ended}

    def forget(self, user_ids: Collection[str] | None) -> None:
        """Do nothing: nothing is remembered."""


class FakeJournal:
    """Holds `events`, whatever the topic, as far as they are asked for."""

    def __init__(self) -> None:
        self.events_held: list[Event] = []
        self.lookups: list[tuple[Topic, int, int]] = []

    async def events(self, topic: Topic, after: int, upto: int) -> list[Event]:
        """Return what it holds."""
        self.lookups.append((topic, after, upto))
        return [event for event in self.events_held if after < event.version <= upto]


def principal(
    *workspaces: str, user: str = "u_1", session: str = "session_1", lasts: timedelta = timedelta(minutes=15)
) -> Principal:
    """Return a user who is a viewer of these workspaces."""
    memberships = tuple(Membership(w, w.title(), "viewer") for w in workspaces or (WORKSPACE,))
    return Principal(user, session, datetime.now(UTC) + lasts, memberships)


class Producer:
    """Appends to the topic `servers` of the workspace."""

    def __init__(self, redis: Redis) -> None:
        self._log = ChangeLog(redis)

    async def put(self, record_id: str, **data: object) -> int:
        """Append a record as it now stands; returns the version of the topic."""
        return await self.append(Draft(id=record_id, action="put", data=json.dumps(data).encode()))

    async def delete(self, record_id: str) -> int:
        """Append a deletion; returns the version of the topic."""
        return await self.append(Draft(id=record_id, action="delete"))

    async def append(self, *drafts: Draft) -> int:
        """Append one change set; returns the version of the topic."""
        return (await self._log.append(Operation(topic=SERVERS, drafts=drafts, actor="test"))).version


class Broadcaster:
    """A running broadcaster; `url` is that of its `/ws`."""

    def __init__(self, port: int, hub: Hub, connections: Connections, socketio: SocketIoEndpoint | None) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.socketio_url = f"http://127.0.0.1:{port}"
        self.hub = hub
        self.connections = connections
        self.socketio = socketio

    async def drain(self) -> None:
        """End all connections, as the process does when it stops."""
        await self.connections.drain()
        if self.socketio is not None:
            await self.socketio.drain()


@asynccontextmanager
async def broadcasting(  # noqa: PLR0913  (what a test may want otherwise, by name)
    redis: Redis,
    authenticator: Authenticator,
    *,
    pace: Pace = PACE,
    limits: Limits = LIMITS,
    bounds: Bounds = BOUNDS,
    origins: frozenset[str] = frozenset(),
    logins_check_s: float = 5.0,
    heartbeat_s: float = 25.0,
    journal: FakeJournal | None = None,
    speaks_socketio: bool = True,
) -> AsyncIterator[Broadcaster]:
    """Run a broadcaster, as its process would."""
    hub = Hub(LogReader(redis), pace, clock=time.monotonic)
    surroundings = Surroundings(hub, authenticator, bounds, time.monotonic, utc_now, Counter())
    connections = Connections(surroundings, limits, sweep_s=0.02, logins_check_s=logins_check_s)
    endpoints = SyncEndpoint(connections, origins), EventsEndpoint(connections, heartbeat_s=heartbeat_s)
    past = Past(LogReader(redis), journal or FakeJournal())
    socketio = SocketIoEndpoint(connections, past, origins, limits) if speaks_socketio else None
    app = Probes(build_app(*endpoints, socketio), {"log": hub.check})
    server = lifecycle._Server(lifecycle._config(app, Http(), SyncProtocol))
    listener = socket.create_server(("127.0.0.1", 0))
    identity_changes = IdentityChanges(redis, connections.heed)
    asked_to_end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.run(asked_to_end))
        group.create_task(connections.watch(asked_to_end))
        group.create_task(identity_changes.run(asked_to_end))
        serving = group.create_task(server.serve([listener]))
        try:
            yield Broadcaster(listener.getsockname()[1], hub, connections, socketio)
        finally:
            await connections.drain()
            if socketio is not None:
                await socketio.drain()
            server.should_exit = True
            await serving
            asked_to_end.set()


class RawClient:
    """A WebSocket that sends what a test says, and gives what comes, within a deadline."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        await self.connection.send(json.dumps(message))

    async def receive(self, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(timeout_s):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def until(self, op: str, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return the next message of this kind; what comes before it is lost."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self.receive()
                if message["op"] == op:
                    return message

    async def close_code(self, *, timeout_s: float = 5.0) -> tuple[int, Messages]:
        """Return the code with which the server closes, and the messages that came before."""
        messages: Messages = []
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    messages.append(json.loads(await self.connection.recv()))
                except ConnectionClosed as closed:
                    return closed.rcvd.code if closed.rcvd else 1006, messages


@asynccontextmanager
async def raw_client(broadcaster: Broadcaster, token: str | None = TOKEN) -> AsyncIterator[RawClient]:
    """Connect, and be welcomed unless `token` is None."""
    async with connect(
        broadcaster.url, subprotocols=[SUBPROTOCOL], compression=None, proxy=None, close_timeout=1
    ) as connection:
        client = RawClient(connection)
        if token is not None:
            await client.send({"op": "auth", "token": token})
            assert (await client.receive())["op"] == "welcome"
        yield client
