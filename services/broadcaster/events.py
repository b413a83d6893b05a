"""Server-sent events: the sync protocol over plain HTTP, for one topic a stream, resumed by `Last-Event-ID`.

A stream is a connection like those of `/ws`: what it asks for stands in the request instead of in messages, and what it
is sent is written as events. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from services.broadcaster.connection import GOODBYE_S, Peer
from services.broadcaster.connections import Connections
from services.broadcaster.event_wire import EventWire
from services.broadcaster.websocket import headers_of, sender_of
from shared.errors import Unauthenticated
from shared.io.http_protocol import ABORT_EXTENSION
from shared.io.probes import Message, Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem, bad_parameter
from shared.protocol import Auth, Since, Subscribe, encode

HEARTBEAT_S = 25.0
"""How often a silent stream is written to, so that no proxy takes it for dead, and we notice who has gone."""

_BEARER = "bearer "
_EVENT_ID = re.compile(r"(.{1,40})-([0-9]{1,15})")
_PARAMETERS = {"topic", "workspace", "delivery", "tick_ms"}


class EventsEndpoint:
    """Serves `/events`."""

    def __init__(self, connections: Connections, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._connections = connections
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream from its request to its end."""
        headers = headers_of(scope)
        try:
            wishes = _wishes(scope, headers)
        except (HttpError, Unauthenticated) as error:
            await answer_problem(error, send)
            return
        wire = EventWire(send, scope["extensions"][ABORT_EXTENSION], heartbeat_s=self._heartbeat_s)
        peer = Peer(_Asking(wishes, receive).receive, wire.close, wire)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(wire.run())
            await self._connections.serve(peer, sender_of(scope, headers))
            wire.end()
            _, late = await asyncio.wait([sending], timeout=GOODBYE_S)
            if late:
                wire.abort()


class _Asking:
    """Says for the client what it would say over a WebSocket, then hears only whether it has gone."""

    def __init__(self, wishes: list[msgspec.Struct], receive: Receive) -> None:
        self._wishes = wishes
        self._receive = receive

    async def receive(self) -> Message:
        if self._wishes:
            return {"type": "websocket.receive", "text": encode(self._wishes.pop(0)).decode()}
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return {"type": "websocket.disconnect"}


def _wishes(scope: Scope, headers: Mapping[bytes, str]) -> list[msgspec.Struct]:
    """Return the messages that a request stands for; raises HttpError and Unauthenticated."""
    if scope["method"] != "GET":
        raise HttpError(405, "method_not_allowed", "streams are asked for by GET", headers=(("Allow", "GET"),))
    authorization = headers.get(b"authorization", "")
    if not authorization.lower().startswith(_BEARER):
        raise Unauthenticated("send `Authorization: Bearer <token>`")
    fields: dict[str, Any] = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    unknown = sorted(set(fields) - _PARAMETERS)
    if unknown:
        raise bad_parameter(unknown[0][:64], f"the parameters are {', '.join(sorted(_PARAMETERS))}")
    if "topic" not in fields:
        raise bad_parameter("topic", "name the topic")
    if last := headers.get(b"last-event-id"):
        fields["since"] = _since(last)
    try:
        subscribe = msgspec.convert(fields, Subscribe, strict=False)
    except msgspec.ValidationError as error:
        raise bad_parameter("tick_ms", str(error)) from error
    return [Auth(authorization[len(_BEARER) :].strip()), subscribe]


def _since(event_id: str) -> Since:
    """Read the id of an event; an id that we never gave leads to a snapshot, as any other epoch does."""
    match = _EVENT_ID.fullmatch(event_id)
    return Since(epoch=match[1], version=int(match[2])) if match else Since(epoch="", version=0)
