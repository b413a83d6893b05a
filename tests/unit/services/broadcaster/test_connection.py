"""One connection over a peer that the test plays."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from services.broadcaster.connection import GOODBYE_S, Connection, Peer, Surroundings
from services.broadcaster.frames import EVENTS, Form
from services.broadcaster.hub import Hub, utc_now
from services.broadcaster.limits import Limits
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.session import Session
from shared.io.changelog.read import LogReader
from shared.io.probes import Message
from shared.tokens import Membership, Principal


class Anyone:
    """Takes everyone for the same user."""

    async def authenticate(self, token: str) -> Principal:
        del token
        memberships = (Membership("w_1", "One", "viewer"),)
        return Principal("u_1", "session_1", datetime.now(UTC) + timedelta(minutes=1), memberships)

    async def standing(self, ids: Iterable[str]) -> dict[str, tuple[Membership, ...]]:
        return {one: (Membership("w_1", "One", "viewer"),) for one in ids}

    def forget(self, user_ids: Collection[str] | None) -> None:
        del user_ids


class PlayedPeer:
    """Takes frames, as events, only while it `reads`; `heard` is what it received."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[Message] = asyncio.Queue()
        self.form: Form = EVENTS
        self.reads = True
        self._block: Callable[[], None] = lambda: None
        self._flow: Callable[[], None] = lambda: None
        self.heard: list[str] = []
        self.is_gone = False
        self.was_dropped = False

    def say(self, text: str) -> None:
        self.says.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.says.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def attach(self, block: Callable[[], None], flow: Callable[[], None]) -> None:
        self._block, self._flow = block, flow
        if not self.reads:
            block()

    def detach(self) -> None:
        self._block = self._flow = lambda: None

    def write(self, data: bytes) -> None:
        self.heard += [
            line.removeprefix(b"event: ").decode() for line in data.splitlines() if line.startswith(b"event")
        ]

    def read_on(self) -> None:
        self.reads = True
        self._flow()

    async def send(self, message: Message) -> None:
        if self.is_gone:
            raise OSError("it has gone")
        if not self.reads:
            await asyncio.Event().wait()
        self.heard.append(str(message["code"]))

    def abort(self) -> None:
        self.was_dropped = True


def connect(peer: PlayedPeer) -> tuple[Connection, Surroundings]:
    hub = Hub(LogReader(Redis()), Pace(), clock=clock)
    surroundings = Surroundings(hub, Anyone(), Bounds(), clock, utc_now, Counter())
    session = Session("c_1", Limits(), now=clock())
    return Connection(session, surroundings, Peer(peer.says.get, peer.send, peer)), surroundings


def clock() -> float:
    return asyncio.get_running_loop().time()


async def let_run() -> None:
    """Let every task come to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_was_promised_is_sent_before_the_last_words() -> None:
    peer = PlayedPeer()
    peer.reads = False
    connection, _ = connect(peer)
    running = asyncio.create_task(connection.run())
    peer.say('{"op":"auth","token":"t"}')
    peer.say('{"op":"check","topic":"servers"}')
    await let_run()  # the welcome is being sent
    peer.say("nonsense")
    await let_run()
    peer.read_on()
    assert "4400" == await running
    assert ["welcome", "error", "error", "4400"] == peer.heard


async def test_a_peer_that_does_not_read_the_last_words_is_dropped() -> None:
    peer = PlayedPeer()
    peer.reads = False
    connection, _ = connect(peer)
    connection.close(4503, "stopping")
    begun = clock()
    assert "4503" == await connection.run()
    assert peer.was_dropped
    assert GOODBYE_S <= clock() - begun + 0.01


async def test_a_peer_that_leaves_ends_the_connection() -> None:
    peer = PlayedPeer()
    connection, surroundings = connect(peer)
    peer.say('{"op":"auth","token":"t"}')
    running = asyncio.create_task(connection.run())
    await let_run()
    assert {"u_1": 1} == surroundings.users
    peer.leave()
    assert "peer" == await running
    assert {} == surroundings.users


async def test_a_peer_that_went_before_the_last_words_ends_the_connection() -> None:
    peer = PlayedPeer()
    connection, _ = connect(peer)
    peer.is_gone = True
    peer.say("nonsense")
    assert "4400" == await connection.run()


async def test_a_reason_fits_into_a_close_frame() -> None:
    peer = PlayedPeer()
    connection, _ = connect(peer)
    reasons: list[str] = []

    async def send(message: Message) -> None:
        reasons.append(message.get("reason", ""))

    connection._peer = Peer(peer.says.get, send, peer)
    connection.close(4503, "ü" * 100)
    await connection.run()
    assert ["ü" * 61] == reasons
