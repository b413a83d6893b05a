"""One connection, whatever mouth it came by: what comes in, what goes out, and the session that decides about both."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from services.broadcaster import metrics
from services.broadcaster.authenticator import Authenticator
from services.broadcaster.frames import frame_of
from services.broadcaster.hub import Hub
from services.broadcaster.outbox import Bounds, Outbox
from services.broadcaster.session import (
    TOO_MANY_CONNECTIONS_RETRY_S,
    Authenticate,
    Close,
    Effect,
    Effects,
    End,
    Open,
    Say,
    SendBookmark,
    Session,
)
from services.broadcaster.subscription import Subscription
from services.broadcaster.transport import Wire
from shared.errors import Rejected, RetryLater
from shared.io.probes import Receive, Send
from shared.names import Topic
from shared.protocol import CloseCode, Refusal
from shared.tokens import Membership, Principal

GOODBYE_S = 2.0
"""How long a close frame may wait behind what the client has not read."""

MAX_REASON_BYTES = 123
"""A limit of the WebSocket protocol (RFC 6455, 5.5)."""

log = structlog.get_logger(__name__)


class Surroundings(msgspec.Struct, frozen=True):
    """What all connections of a process share. `clock` gives seconds that never go back, `utc_now` the time."""

    hub: Hub
    authenticator: Authenticator
    bounds: Bounds
    clock: Callable[[], float]
    utc_now: Callable[[], datetime]
    users: Counter[str]
    """How many connections each user has."""


class Peer(msgspec.Struct, frozen=True):
    """The other side: how to hear it, how to close on it, and the wire for all else that it is sent."""

    receive: Receive
    send: Send
    wire: Wire


class Connection:
    """A connection from its acceptance to its end."""

    __slots__ = ("_closing", "_emptied", "_peer", "_reading", "_session", "_subscriptions", "_surroundings", "outbox")

    def __init__(self, session: Session, surroundings: Surroundings, peer: Peer) -> None:
        self._session = session
        self._surroundings = surroundings
        self._peer = peer
        self.outbox = Outbox(surroundings.bounds, peer.wire.write, peer.wire.form)
        self._subscriptions: dict[Topic, Subscription] = {}
        self._closing: Close | None = None
        self._emptied: asyncio.Event | None = None
        self._reading: asyncio.Timeout | None = None
        peer.wire.attach(self.outbox.block, self._flow)

    @property
    def principal(self) -> Principal | None:
        """Who is connected, once that is known."""
        return self._session.principal

    async def run(self) -> str:
        """Serve the client until one side ends it; returns the close code, or `peer`."""
        try:
            await self._listen()
            if self._closing is None:
                return "peer"
            await self._say_goodbye(self._closing)
            return str(int(self._closing.code))
        finally:
            # the wire holds it no more, and so it goes at once, with its queue: circles wait for the collector
            self._peer.wire.detach()

    def sweep(self) -> None:
        """Look whether its time is over, or it is too slow; to be called regularly."""
        now = self._surroundings.clock()
        self._perform(self._session.expire(now, self._surroundings.utc_now()))
        if self.outbox.is_too_slow(now):
            self.close(CloseCode.TOO_SLOW, "too slow; resume")

    def close(self, code: int, reason: str) -> None:
        """End it for a reason of the server's own."""
        self._perform(self._session.close(code, reason))

    def close_crowded(self, message: str) -> None:
        """End it because there are too many."""
        self._perform(self._session.close_crowded(message, TOO_MANY_CONNECTIONS_RETRY_S))

    def keep_within(self, login_id: str, memberships: tuple[Membership, ...] | None) -> None:
        """Let it go on with what its login leads to now; end it if that is None, for then the login has ended."""
        self._perform(self._session.keep_within(login_id, memberships))

    async def _listen(self) -> None:
        """Hear the client until one side wants to end it."""
        try:
            async with asyncio.timeout(None) as self._reading:
                await self._read()
        except TimeoutError:
            if self._closing is None:
                raise
        finally:
            self._reading = None
            self._release()

    async def _read(self) -> None:
        while self._closing is None:
            event = await self._peer.receive()
            if event["type"] == "websocket.disconnect":
                return
            text = event.get("text")
            message = event["bytes"] if text is None else text
            for effect in self._session.receive(message, self._surroundings.clock()):
                if isinstance(effect, Authenticate):
                    self._perform(await self._authenticate(effect.token))
                else:
                    self._do(effect)

    async def _authenticate(self, token: str) -> Effects:
        try:
            principal = await self._surroundings.authenticator.authenticate(token)
        except Rejected as error:
            return self._session.reject(error)
        except RetryLater as error:
            return self._session.postpone(error)
        users, is_new = self._surroundings.users, self._session.principal is None
        effects = self._session.admit(principal, self._surroundings.utc_now(), others=users[principal.user_id])
        if is_new and self._session.principal is not None:
            users[principal.user_id] += 1
        return effects

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Say(message):
                self.outbox.reply(frame_of(message))
            case Open():
                self._subscribe(effect)
            case End(topic):
                self._unsubscribe(topic)
            case SendBookmark(topic):
                self._surroundings.hub.bookmark(self._subscriptions[topic])
            case Close():
                self._closing = effect
                if self._reading is not None:  # wherever it waits, it stops
                    self._reading.reschedule(0)

    def _subscribe(self, wish: Open) -> None:
        self._unsubscribe(wish.topic)
        subscription = Subscription(
            wish.topic,
            self.outbox,
            since=wish.since,
            asked_at=self._surroundings.clock(),
            on_refused=self._refused,
            delivery=wish.delivery,
            tick_s=wish.tick_s,
        )
        self._subscriptions[wish.topic] = subscription
        metrics.SUBSCRIPTIONS.inc()
        self._surroundings.hub.subscribe(subscription)

    def _unsubscribe(self, topic: Topic) -> None:
        subscription = self._subscriptions.pop(topic, None)
        if subscription is not None:
            metrics.SUBSCRIPTIONS.dec()
            self._surroundings.hub.unsubscribe(subscription)

    def _refused(self, subscription: Subscription, refusal: Refusal) -> None:
        self._session.topics.discard(subscription.topic)
        self._unsubscribe(subscription.topic)
        self.outbox.reply(frame_of(refusal))

    def _flow(self) -> None:
        self.outbox.flow()
        if self._emptied is not None and self.outbox.is_empty:
            self._emptied.set()

    def _release(self) -> None:
        for topic in list(self._subscriptions):
            self._unsubscribe(topic)
        if self.principal is not None:
            users, user_id = self._surroundings.users, self.principal.user_id
            users[user_id] -= 1
            if not users[user_id]:
                del users[user_id]

    async def _say_goodbye(self, closing: Close) -> None:
        """Send what was promised before the end, without a hole, then the last words."""
        if closing.last_words is not None:
            self.outbox.push((frame_of(closing.last_words),))
        reason = closing.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._until_emptied()
                await self._peer.send({"type": "websocket.close", "code": int(closing.code), "reason": reason})
        except TimeoutError:  # it reads nothing: what it holds of our memory is given up
            self._peer.wire.abort()
        except OSError:
            log.debug("the peer has gone before it could be told", code=closing.code)

    async def _until_emptied(self) -> None:
        self._emptied = asyncio.Event()
        if not self.outbox.is_empty:
            await self._emptied.wait()
