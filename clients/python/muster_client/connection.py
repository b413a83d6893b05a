"""A connection that comes back: opens one WebSocket after the other, signs in, and carries what topics say and hear."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from muster_client.addresses import is_loopback, sync_url
from muster_client.errors import MusterError, NotOpen, ProtocolFault, Refused, RetryLater, SignedOut
from muster_client.messages import SUBPROTOCOL, Auth, Refusal, ServerMessage, Welcome, decode, encode
from muster_client.reconnecting import BROKEN, CloseCode, Ending, Reconnecting, Stop
from muster_client.signal import Signal
from muster_client.subscription import Subscription
from muster_client.tokens import Tokens, renewal_in_s

OPEN_WITHIN_S = 10.0
WELCOME_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0
RENEW_AGAIN_S = 5.0
PING_EVERY_S = 20.0
PONG_WITHIN_S = 10.0

_PROTOCOL_ERROR = 1002
_HTTP_FORBIDDEN = 403

log = logging.getLogger("muster_client")


class Connected(msgspec.Struct, frozen=True):
    """The server has let us in, for the first time or again."""

    is_first: bool


class Disconnected(msgspec.Struct, frozen=True):
    """The connection has ended, or did not come about; the next try is in `retry_in_s`."""

    reason: str
    retry_in_s: float


ConnectionEvent = Connected | Disconnected


class Connection:
    """Stays connected for the `subscriptions`, by topic; `signals` fire when something about a topic has changed.

    `workspace` is the one that the topics are of; a user who is in one gets that one.
    """

    def __init__(
        self, url: str, tokens: Tokens, workspace: str | None, on_event: Callable[[ConnectionEvent], None] | None
    ) -> None:
        self.is_open = False
        self.ended: Exception | None = NotOpen("the client is not open")
        """Why it does not run: for the first time, or any more."""
        self.workspace = workspace
        self.subscriptions: dict[str, Subscription] = {}
        self.signals: defaultdict[str, Signal] = defaultdict(Signal)
        self._url = sync_url(url)
        self._tokens = tokens
        self._on_event = on_event
        self._reconnecting = Reconnecting()
        self._wake = asyncio.Event()
        self._welcomed = asyncio.Event()
        self._welcome: Welcome | None = None
        self._not_before = 0.0  # until then the server has asked to be left alone
        self._failure: MusterError | None = None

    def add(self, subscription: Subscription) -> None:
        """Subscribe to one more topic."""
        self.subscriptions[subscription.topic] = subscription
        if self.is_open:
            subscription.open(_now())
        self.wake()

    def wake(self) -> None:
        """Look now whether a topic has something to say."""
        self._wake.set()

    async def wait(self, topic: str) -> None:
        """Wait until something about a topic has changed; raises what has ended it."""
        self._raise_if_over(topic)
        await self.signals[topic].wait()
        self._raise_if_over(topic)

    def _raise_if_over(self, topic: str) -> None:
        error = self.ended or self.subscriptions[topic].refusal
        if error is not None:
            raise error

    def end(self, reason: Exception) -> None:
        """Tell everybody who waits that nothing will come any more."""
        self.ended = self.ended or reason
        self._fire()

    def _fire(self) -> None:
        for signal in self.signals.values():
            signal.fire()

    async def run(self) -> None:
        """Stay connected; raises Refused or SignedOut when that is over for good."""
        self._failure = None
        while True:
            ending = await self._once()
            if self._failure is not None:
                raise self._failure
            verdict = self._reconnecting.ended(ending, _now(), random.random())  # noqa: S311 - it spreads clients
            if isinstance(verdict, Stop):
                raise Refused(verdict.code, ending.reason)
            if verdict.is_token_spent:
                if self._tokens.is_fixed:
                    raise SignedOut(f"the token is not accepted: {ending.reason}")
                self._tokens.spend()
            log.info("not connected (%s %s), next try in %.1f s", ending.code, ending.reason, verdict.after_s)
            self._tell(Disconnected(ending.reason or f"the connection was lost ({ending.code})", verdict.after_s))
            await asyncio.sleep(verdict.after_s)

    async def _once(self) -> Ending:
        """Be connected once; return how that ended."""
        try:
            token = await self._tokens.get(_now())
            async with connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                proxy=None if is_loopback(self._url) else True,
                open_timeout=OPEN_WITHIN_S,
                ping_interval=PING_EVERY_S,
                ping_timeout=PONG_WITHIN_S,
                close_timeout=CLOSE_WITHIN_S,
                max_size=None,
                logger=log,
            ) as socket:
                return await self._talk(socket, token)
        except RetryLater as error:
            return Ending(BROKEN, f"there is no token now: {error}", error.retry_after_s)
        except InvalidStatus as error:
            return _refused_handshake(error)
        except (OSError, WebSocketException) as error:
            return Ending(BROKEN, f"{self._url} cannot be reached: {error or type(error).__name__}")
        finally:
            self.is_open = False
            for subscription in self.subscriptions.values():
                subscription.close()
            self._fire()

    async def _talk(self, socket: ClientConnection, token: str) -> Ending:
        try:
            async with asyncio.timeout(WELCOME_WITHIN_S):
                await socket.send(encode(Auth(token)))
                await self._until_welcomed(socket)
        except (ConnectionClosed, ProtocolFault, TimeoutError) as error:
            return self._ending(error)
        self._open()
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._write(socket)), group.create_task(self._renew(socket))]
                ending = await self._read(socket)
                for helper in helpers:
                    helper.cancel()
        except ExceptionGroup as defects:
            raise defects.exceptions[0] from None  # it comes out as it is
        return ending

    async def _until_welcomed(self, socket: ClientConnection) -> None:
        while True:
            message = decode(await socket.recv())
            self._receive(message)
            if isinstance(message, Welcome):
                if self.workspace is None and len(message.workspaces) == 1:
                    self.workspace = message.workspaces[0].id  # and no other later: the records at hand are of this
                return

    def _open(self) -> None:
        self.is_open = True
        is_first = self._reconnecting.welcomed(_now())
        for subscription in self.subscriptions.values():
            subscription.open(_now())
        self.wake()
        self._tell(Connected(is_first))

    async def _read(self, socket: ClientConnection) -> Ending:
        try:
            while True:
                self._receive(decode(await socket.recv()))
        except ProtocolFault as fault:
            await socket.close(_PROTOCOL_ERROR, "a message cannot be read")
            return self._ending(fault)
        except ConnectionClosed as closed:
            return self._ending(closed)

    def _receive(self, message: ServerMessage) -> None:
        if isinstance(message, Welcome):
            self._welcome = message
            self._tokens.welcomed(message, _now())
            self._welcomed.set()
        elif message.topic is None:
            self._not_before = _now() + (message.retry_after_ms or 0) / 1000
            log.warning("the server refuses: %s (%s)", message.message, message.code)
        elif (subscription := self.subscriptions.get(message.topic)) is not None and self._is_ours(message):
            chance = random.random()  # noqa: S311 - it spreads clients
            if isinstance(message, Refusal):
                log.warning("the server refuses %s: %s (%s)", message.topic, message.message, message.code)
                subscription.refused(message, _now(), chance)
            else:
                subscription.receive(message, _now(), chance)
            self.wake()
            self.signals[message.topic].fire()

    def _is_ours(self, message: ServerMessage) -> bool:
        workspace = getattr(message, "workspace", None)
        return self.workspace is None or workspace is None or workspace == self.workspace

    async def _write(self, socket: ClientConnection) -> None:
        """Say what topics have to say, when they have it; ends with the connection."""
        with suppress(ConnectionClosed):
            while True:
                self._wake.clear()
                for subscription in list(self.subscriptions.values()):
                    while (message := subscription.say(_now(), self.workspace)) is not None:
                        await socket.send(encode(message))
                if any(subscription.is_overdue(_now()) for subscription in self.subscriptions.values()):
                    await socket.close(_PROTOCOL_ERROR, "no answer to a subscription")
                    return
                due = [s.due_at for s in self.subscriptions.values() if s.due_at is not None]
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(due, default=None)):
                        await self._wake.wait()

    async def _renew(self, socket: ClientConnection) -> None:
        """Sign in again before the token ends; ends with the connection."""
        if self._tokens.is_fixed:
            return
        again_s = RENEW_AGAIN_S
        with suppress(ConnectionClosed):
            while True:
                # without a welcome, the last renewal has failed or was not answered yet
                pause_s = again_s if self._welcome is None else renewal_in_s(self._welcome)
                again_s = RENEW_AGAIN_S
                self._welcomed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._welcomed.wait()  # a welcome names a new time
                    continue
                try:
                    self._welcome = None
                    self._tokens.spend()
                    await socket.send(encode(Auth(await self._tokens.get(_now()))))
                except RetryLater as error:
                    log.warning("the token cannot be renewed now: %s", error)
                    again_s = max(RENEW_AGAIN_S, error.retry_after_s or 0)
                except SignedOut as error:
                    self._failure = error
                    await socket.close()
                    return

    def _ending(self, error: ConnectionClosed | ProtocolFault | TimeoutError) -> Ending:
        pause_s = self._not_before - _now()
        asked_pause_s = pause_s if pause_s > 0 else None
        if isinstance(error, ConnectionClosed) and error.rcvd is not None:
            return Ending(error.rcvd.code, error.rcvd.reason, asked_pause_s)
        if isinstance(error, TimeoutError):
            return Ending(BROKEN, f"{self._url} does not welcome us", asked_pause_s)
        return Ending(BROKEN, str(error), asked_pause_s)

    def _tell(self, event: ConnectionEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)


def _refused_handshake(error: InvalidStatus) -> Ending:
    status, after = error.response.status_code, error.response.headers.get("Retry-After", "")
    code = CloseCode.FORBIDDEN if status == _HTTP_FORBIDDEN else BROKEN
    return Ending(code, f"the server answers with HTTP status {status}", float(after) if after.isdecimal() else None)


def _now() -> float:
    return asyncio.get_running_loop().time()
