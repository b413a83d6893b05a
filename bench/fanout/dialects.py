"""How a client of each server gets from an open socket to the point where every change reaches it. Pure."""

import json
import re
from typing import Protocol

import msgspec

from bench.fanout.wire import CLOSE, PING, masked, pong, take_frames, upgrade

_HEAD_BYTES = 500  # where the fields of a long message are that tell what it is
_STATUS = re.compile(rb"HTTP/1\.1 (\d+)")
_NUMBERS = {name: re.compile(rb'"%b":"?(\d+)' % name) for name in (b"version", b"part", b"parts", b"retry_after_ms")}


class Refused(Exception):
    """The server does not let this client in now; it may come again."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Connections to be opened to one server of 127.0.0.1, by group.

    `dialect` is a key of DIALECTS. At most `at_once` connections are on their way at a time. `shortest` is the size in
    bytes of the smallest payload that counts; a `timed` group reads what it gets, for the times that changes carry.
    The rest is for the clients of Muster: each resumes from `since`, if that is given, but for every `new_every`-th,
    and is live once it has seen the version `until`.
    """

    group: str
    dialect: str
    port: int
    count: int
    at_once: int = 100
    shortest: int = 0
    timed: bool = False
    path: str = "/"
    tokens: tuple[str, ...] = ()
    topic: str = ""
    workspace: str = ""
    epoch: str = "1"
    since: int | None = None
    until: int = 0
    new_every: int = 0


class Client(Protocol):
    """One client on its way; `greeting` is what it sends first."""

    greeting: bytes
    is_live: bool

    def receive(self, data: bytearray) -> bytes:
        """Take what is whole off the front of `data` and return what to send; raises Refused."""
        ...


class Listener:
    """Is live with the answer to its handshake, or with what a server without one sends in its place."""

    subprotocol = ""

    def __init__(self, plan: Plan, number: int) -> None:
        del number
        self.greeting = b"" if plan.dialect == "raw" else upgrade(plan.path, self.subprotocol)
        self.is_live = False

    def receive(self, data: bytearray) -> bytes:
        """Wait for the answer to the handshake."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return b""
        status = _STATUS.match(data)
        if status is None or status[1] != b"101":
            raise Refused(bytes(data[:end]).decode())
        del data[: end + 4]
        return self.opened()

    def opened(self) -> bytes:
        """Go on after the handshake; returns what to send."""
        self.is_live = True
        return b""


class _Talker(Listener):
    """Has to say something after the handshake."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__(plan, number)
        self._is_open = False

    def receive(self, data: bytearray) -> bytes:
        """Wait for the answer to the handshake, then hear one message after the other."""
        said = b""
        if not self._is_open:
            said = super().receive(data)
        if self._is_open:
            for opcode, payload in take_frames(data):
                if opcode == CLOSE:
                    raise Refused(f"closed with {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}")
                said += pong(payload) if opcode == PING else self.hear(payload)
                if self.is_live:  # the rest is counted
                    break
        return said

    def opened(self) -> bytes:
        """Go on with messages."""
        self._is_open = True
        return b""

    def hear(self, payload: bytes) -> bytes:
        """Take in a message; returns what to send."""
        raise NotImplementedError


class MusterClient(_Talker):
    """Authenticates, subscribes, and is live with a snapshot or with the changes that it has missed."""

    subprotocol = "muster.v1"

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__(plan, number)
        self._token = plan.tokens[number % len(plan.tokens)]
        self._until = plan.until
        self._subscribe = {"op": "subscribe", "topic": plan.topic, "workspace": plan.workspace}
        is_new = plan.since is None or bool(plan.new_every and number % plan.new_every == 0)
        if not is_new:
            self._subscribe["since"] = {"epoch": plan.epoch, "version": plan.since}  # type: ignore[assignment]  # JSON

    def opened(self) -> bytes:
        """Say who this is."""
        super().opened()
        return masked(json.dumps({"op": "auth", "token": self._token}).encode())

    def hear(self, payload: bytes) -> bytes:
        """Subscribe when welcome, then wait for the topic."""
        head = payload[:_HEAD_BYTES]
        if b'"op":"welcome"' in head:
            return masked(json.dumps(self._subscribe).encode())
        if b'"op":"error"' in head:
            raise Refused(head.decode())
        if b'"op":"snapshot"' in head:
            self.is_live = (
                _number(b"part", head) == _number(b"parts", head) and _number(b"version", head) >= self._until
            )
        elif b'"op":"changes"' in head or b'"op":"subscribed"' in head:
            self.is_live = _number(b"version", head) >= self._until
        return b""


class SocketIoClient(_Talker):
    """Opens Engine.IO over WebSocket and the default namespace."""

    def hear(self, payload: bytes) -> bytes:
        """Ask for the namespace, and wait for it."""
        if payload.startswith(b"0{"):
            return masked(b"40")
        if payload.startswith(b"44"):
            raise Refused(payload.decode())
        self.is_live = payload.startswith(b"40")
        return b""


class NatsClient(_Talker):
    """Subscribes to `bench`, and is live when a ping after that is answered."""

    def hear(self, payload: bytes) -> bytes:
        """Subscribe after the greeting."""
        if payload.startswith(b"-ERR"):
            raise Refused(payload.decode())
        if payload.startswith(b"INFO"):
            return masked(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB bench 1\r\nPING\r\n', opcode=2)
        self.is_live = b"PONG" in payload
        return b""


DIALECTS = {
    "raw": Listener,
    "plain": Listener,
    "muster": MusterClient,
    "socketio": SocketIoClient,
    "nats": NatsClient,
}


def _number(name: bytes, head: bytes) -> int:
    found = _NUMBERS[name].search(head)
    return int(found[1]) if found else -1
