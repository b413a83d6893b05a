"""One WebSocket connection: a task that reads, a task that writes, and the session that tells them what to do."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from services.broadcaster import metrics
from services.broadcaster.authenticator import Authenticator
from services.broadcaster.frames import Frame
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
from shared.errors import Rejected, RetryLater
from shared.io.probes import Receive, Send
from shared.names import Topic
from shared.protocol import CloseCode, Refusal, Since
from shared.tokens import Principal

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
    """The other side: how to hear it, how to speak to it, and how to drop it with all that it has not read."""

    receive: Receive
    send: Send
    abort: Callable[[], None]


class Connection:
    """A connection from its acceptance to its end."""

    def __init__(self, session: Session, surroundings: Surroundings, peer: Peer) -> None:
        self._session = session
        self._surroundings = surroundings
        self._peer = peer
        self._wake = asyncio.Event()
        self.outbox = Outbox(surroundings.bounds, self._wake.set)
        self._subscriptions: dict[Topic, Subscription] = {}
        self._in_flight: Frame | None = None
        self._closing: Close | None = None
        self._ended = asyncio.Event()

    @property
    def principal(self) -> Principal | None:
        """Who is connected, once that is known."""
        return self._session.principal

    async def run(self) -> str:
        """Serve the client until one side ends it; returns the close code, or `peer`."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._read()), group.create_task(self._write())]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._release()
        if self._closing is None:
            return "peer"
        await self._say_goodbye(self._closing)
        return str(int(self._closing.code))

    def sweep(self) -> None:
        """Look whether its time is over, or it is too slow; to be called regularly."""
        now = self._surroundings.clock()
        self._perform(self._session.expire(now, self._surroundings.utc_now()))
        if self.outbox.is_too_slow(now):
            self.close(CloseCode.TOO_SLOW, "too slow; resume")

    def close(self, code: int, reason: str) -> None:
        """End it for a reason of the server's own."""
        self._perform(self._session.close(code, reason))

    def close_crowded(self) -> None:
        """End it because there are too many."""
        self._perform(self._session.close_crowded("too many connections", TOO_MANY_CONNECTIONS_RETRY_S))

    def revoke(self) -> None:
        """End it because the login behind it has ended."""
        self._perform(self._session.revoke())

    async def _read(self) -> None:
        while True:
            event = await self._peer.receive()
            if event["type"] == "websocket.disconnect":
                self._ended.set()
                return
            text = event.get("text")
            message = event["bytes"] if text is None else text
            for effect in self._session.receive(message, self._surroundings.clock()):
                if isinstance(effect, Authenticate):
                    self._perform(await self._authenticate(effect.token))
                else:
                    self._do(effect)

    async def _write(self) -> None:
        send, take = self._peer.send, self.outbox.take
        try:
            while True:
                frame = take()
                if frame is None:
                    await self._wake.wait()
                    self._wake.clear()
                    continue
                self._in_flight = frame
                await send({"type": "websocket.send", "text": frame.text})
                self._in_flight = None
        except OSError:  # the peer has gone
            self._ended.set()

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
                self.outbox.reply(Frame(message))
            case Open(topic, since):
                self._subscribe(topic, since)
            case End(topic):
                self._unsubscribe(topic)
            case SendBookmark(topic):
                self._surroundings.hub.bookmark(self._subscriptions[topic])
            case Close():
                self._closing = effect
                self._ended.set()

    def _subscribe(self, topic: Topic, since: Since | None) -> None:
        self._unsubscribe(topic)
        now = self._surroundings.clock()
        subscription = Subscription(topic, self.outbox, since=since, asked_at=now, on_refused=self._refused)
        self._subscriptions[topic] = subscription
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
        self.outbox.reply(Frame(refusal))

    def _release(self) -> None:
        for topic in list(self._subscriptions):
            self._unsubscribe(topic)
        if self.principal is not None:
            users, user_id = self._surroundings.users, self.principal.user_id
            users[user_id] -= 1
            if not users[user_id]:
                del users[user_id]

    async def _say_goodbye(self, closing: Close) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                if closing.last_words is not None:
                    await self._send_rest(closing.last_words)
                reason = closing.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
                await self._peer.send({"type": "websocket.close", "code": int(closing.code), "reason": reason})
        except TimeoutError:  # it reads nothing: what it holds of our memory is given up
            self._peer.abort()
        except OSError:
            log.debug("the peer has gone before it could be told", code=closing.code)

    async def _send_rest(self, last_words: Refusal) -> None:
        """Send what was promised before the end, without a hole."""
        frame = self._in_flight or self.outbox.take()
        while frame is not None:
            await self._peer.send({"type": "websocket.send", "text": frame.text})
            frame = self.outbox.take()
        await self._peer.send({"type": "websocket.send", "text": Frame(last_words).text})
