"""One Socket.IO client: says for it what it would say over a WebSocket, so that it is a connection like any other."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from redis.exceptions import RedisError

from services.broadcaster.connection import GOODBYE_S
from services.broadcaster.event_feed import Ask, Feed, place_of
from services.broadcaster.event_packets import complaint_packet
from services.broadcaster.journal import Journal
from services.broadcaster.limits import Limits, TokenBucket
from services.broadcaster.packet_wire import PacketWire, Transport
from shared.errors import LogSealed
from shared.io.changelog.read import LogReader
from shared.io.probes import Message
from shared.names import Topic
from shared.protocol import Auth, Delivery, ErrorCode, Refusal, Since, Subscribe, Welcome, encode
from shared.resources import RESOURCES

_REQUEST = "request:"
_AUTH = "auth"
_MAX_ECHO = 64
_DISCONNECT = {"type": "websocket.disconnect"}
ENDED = Refusal(code="unavailable", message="the connection has ended; connect again", retry_after_ms=1_000)
"""What is said to a client that comes too late."""


class Past(msgspec.Struct, frozen=True):
    """Where it is looked up what a client has missed: the log says where a topic stands, the journal what led there."""

    reader: LogReader
    journal: Journal


class _Place(msgspec.Struct, rename="camel"):
    """What a request may say, besides its name."""

    last_event_id: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    workspace: Annotated[str, Meta(max_length=64)] | None = None


class _Request(msgspec.Struct):
    resource: str
    place: _Place


class Link:
    """A client from the opening of its transport to its end; `clock` gives seconds that never go back.

    Bounds beside those of its connection: as many messages as `limits` allow, whatever is in them.
    """

    def __init__(self, transport: Transport, past: Past, limits: Limits, clock: Callable[[], float]) -> None:
        self._feed = Feed()
        self.transport = transport
        self.wire = PacketWire(transport, self._feed, past.journal, self._opened, self._ask)
        self.is_gone = False
        """Whether the client has left."""
        self._is_over = False
        self._reader = past.reader
        self._clock = clock
        self._bucket = TokenBucket(limits.messages_burst, limits.messages_per_s, clock())
        self._opening: asyncio.Future[Refusal | None] | None = None
        self._refusal: Refusal | None = None
        self._workspaces: tuple[str, ...] = ()
        self._said: deque[msgspec.Struct] = deque()
        self._requests: deque[_Request] = deque()
        self._heard = asyncio.Event()

    async def open(self, auth: object) -> Refusal | None:
        """Let the client in by what it gave for `auth`; returns why not, if it is not welcome. To be called once."""
        if self._opening is not None:
            return ENDED
        self._opening = asyncio.get_running_loop().create_future()
        self._authenticate(auth)
        if self._refusal is not None:
            return self._refusal
        return await self._opening

    def may_speak(self) -> bool:
        """Count a message of the client, and tell whether it may send so many."""
        return self._bucket.take(self._clock())

    def hear(self, event: str, arguments: Sequence[Any]) -> None:
        """Take an event of the client."""
        argument = arguments[0] if arguments and arguments[0] is not None else {}
        if event == _AUTH:
            self._authenticate(argument)
            return
        if not event.startswith(_REQUEST):
            self._complain("bad_request", f"the events are {_REQUEST}<resource> and {_AUTH}")
            return
        resource = _plain(event.removeprefix(_REQUEST))
        try:
            place = msgspec.convert(argument, _Place)
        except msgspec.ValidationError as error:
            self._complain("bad_request", str(error), resource)
            return
        self._requests.append(_Request(resource, place))
        self._heard.set()

    def leave(self) -> None:
        """Note that the client has left."""
        self.is_gone = True
        self._finish()

    def turn_out(self, code: ErrorCode, message: str) -> None:
        """End it because of what the client does."""
        self._complain(code, message)
        self._finish()

    async def end(self) -> None:
        """Send what is still to be said; to be called when its connection has ended."""
        self._finish()
        self._refuse(ENDED)
        self.wire.end()
        try:
            async with asyncio.timeout(0 if self.is_gone or self.wire.is_aborted else GOODBYE_S):
                if self._opening is not None:
                    await self.wire.begun.wait()
                await self.wire.ended.wait()
                await self.transport.taken()
        except TimeoutError:
            self.transport.abort()

    async def close(self, message: Message) -> None:
        """Take the place of the close frame of a WebSocket, `message` being ASGI's."""
        del message
        self.wire.end()

    async def receive(self) -> Message:
        """Wait for the next message of the client, in the form of ASGI's WebSockets."""
        while not self._is_over:
            if self._said:
                return {"type": "websocket.receive", "text": encode(self._said.popleft()).decode()}
            if self._requests and not self._feed.is_pending:
                self._said.append(await self._subscribe(self._requests.popleft()))
                continue
            self._heard.clear()
            await self._heard.wait()
        return _DISCONNECT

    def _authenticate(self, auth: object) -> None:
        token = auth.get("token") if isinstance(auth, dict) else None
        self._say(Auth(_plain(token)))

    async def _subscribe(self, request: _Request) -> Subscribe:
        workspace, since = request.place.workspace, None
        if workspace is None and len(self._workspaces) == 1:
            workspace = self._workspaces[0]
        # of what is not theirs nothing is looked up, not even whether it exists: the session refuses it
        if workspace in self._workspaces and request.resource in RESOURCES:
            topic = Topic(workspace, request.resource)
            since = await self._since(topic, request.place.last_event_id)
            self._feed.ask(topic, since)
        return Subscribe(request.resource, None if workspace is None else _plain(workspace), Delivery.EACH, since)

    async def _since(self, topic: Topic, last_event_id: int | None) -> Since | None:
        if last_event_id is None:
            return None
        try:
            return place_of(last_event_id, await self._reader.head(topic))
        except (LogSealed, RedisError, OSError):
            return None  # the topic's own reader goes on trying, and the client gets everything anew

    def _finish(self) -> None:
        self._is_over = True
        self._heard.set()

    def _ask(self, ask: Ask) -> None:
        self._say(Subscribe(ask.topic.resource, ask.topic.workspace_id, Delivery.EACH, ask.since))

    def _say(self, message: msgspec.Struct) -> None:
        self._said.append(message)
        self._heard.set()

    def _opened(self, answer: Welcome | Refusal) -> None:
        if isinstance(answer, Refusal):
            self._refuse(answer)
            return
        self._workspaces = tuple(workspace.id for workspace in answer.workspaces)
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(None)

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = self._refusal or refusal
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(self._refusal)

    def _complain(self, code: ErrorCode, message: str, resource: str | None = None) -> None:
        topic = None if resource is None else resource[:_MAX_ECHO]
        if not self.wire.complain(complaint_packet(Refusal(code=code, message=message, topic=topic))):
            self._finish()


def _plain(text: object) -> str:
    """Return a text that can be a token or a name; nothing for anything else, such as halves of surrogate pairs."""
    return text if isinstance(text, str) and text.isascii() else ""
