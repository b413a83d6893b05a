"""A WebSocket to ingest: the protocol is websockets' Sans-I/O one, the socket and its waits are here.

The ready-made client of websockets keeps a thread for each connection and its own queue; one thread that waits for the
socket and for samples alike needs neither.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from muster_agent.answers import Answer
from muster_agent.route import Route

SUBPROTOCOL = "muster.agent.v1"
LARGEST_MESSAGE = 1_000_000
READ_AT_ONCE = 65_536
ABNORMAL = 1006

# Its debug lines would show the secret.
quiet = logging.getLogger("muster_agent.websocket")
quiet.setLevel(logging.WARNING)


class UpgradeRefused(Exception):
    """The server answered to the upgrade with another status than 101."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Closed:
    """How a connection has ended; 1006 where nobody said so."""

    code: int
    reason: str


class Waker:
    """Ends a wait from any thread."""

    def __init__(self) -> None:
        self.receiver, self._sender = socket.socketpair()
        self.receiver.settimeout(0)
        self._sender.settimeout(0)

    def wake(self) -> None:
        """End the wait that is under way, or the next one."""
        # A full buffer has enough in it to wake anybody.
        with contextlib.suppress(OSError):
            self._sender.send(b"\0")

    def clear(self) -> None:
        """Forget the wakes so far."""
        with contextlib.suppress(BlockingIOError):
            while self.receiver.recv(READ_AT_ONCE):
                pass

    def close(self) -> None:
        """Wake nobody any more."""
        self.receiver.close()
        self._sender.close()


class Wire:
    """An open WebSocket. Every method may raise OSError, which ends it."""

    def __init__(self, opened: socket.socket, protocol: ClientProtocol, waker: Waker, timeout_s: float) -> None:
        self._socket = opened
        self._protocol = protocol
        self._timeout_s = timeout_s
        self._waker = waker
        self._messages: list[bytes] = []
        self._response: Response | None = None
        self._partial: list[bytes] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(opened, selectors.EVENT_READ)
        self._selector.register(waker.receiver, selectors.EVENT_READ)

    @classmethod
    def open(cls, route: Route, path: str, headers: Mapping[str, str], waker: Waker, timeout_s: float) -> Wire:
        """Connect and upgrade. Raises OSError when nobody answers, UpgradeRefused when the answer is another one."""
        scheme = "wss" if route.is_secure else "ws"
        protocol = ClientProtocol(
            parse_uri(f"{scheme}://{route.authority}{route.path}{path}"),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=LARGEST_MESSAGE,
            logger=quiet,
        )
        wire = cls(route.open(timeout_s, is_tunnel=True), protocol, waker, timeout_s)
        try:
            wire._upgrade(headers)
        except BaseException:
            wire.close()
            raise
        return wire

    @property
    def closed(self) -> Closed | None:
        """How the connection has ended; None while it has not."""
        if self._protocol.state is State.OPEN and not self._protocol.parser_exc:
            return None
        said = self._protocol.close_rcvd
        return Closed(said.code, said.reason) if said else Closed(ABNORMAL, "")

    def use_timeout(self, timeout_s: float) -> None:
        """Let sending take at most so long from now on."""
        self._timeout_s = timeout_s

    def send(self, text: bytes) -> None:
        """Send a message."""
        try:
            self._protocol.send_text(text)
        except ConnectionClosed as error:
            raise ConnectionResetError("the stream was closed") from error
        self._flush()

    def wait(self, timeout_s: float) -> None:
        """Block until something has come, the waker was called, or the timeout has passed; then take in what came."""
        has_read_ahead = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        ready = self._selector.select(0 if has_read_ahead else timeout_s)
        self._waker.clear()
        if has_read_ahead or any(key.fileobj is self._socket for key, _ in ready):
            self._read()

    def has_messages(self) -> bool:
        """Tell whether something has come since `messages` was called."""
        return bool(self._messages)

    def messages(self) -> list[bytes]:
        """Give what has come since this was asked last."""
        messages, self._messages = self._messages, []
        return messages

    def close(self, code: int | None = None) -> None:
        """End the connection, with a word to the other side where there is a `code`; may be called twice."""
        if self._socket.fileno() < 0:
            return
        with contextlib.suppress(OSError, ConnectionClosed):
            if code is not None and self._protocol.state is State.OPEN:
                self._protocol.send_close(code)
                self._flush()
        self._selector.close()
        self._socket.close()

    def _upgrade(self, headers: Mapping[str, str]) -> None:
        request = self._protocol.connect()
        for name, value in headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()
        deadline_s = time.monotonic() + self._timeout_s
        while self._response is None:
            self._socket.settimeout(max(0.001, deadline_s - time.monotonic()))
            self._feed(self._socket.recv(READ_AT_ONCE))
            if self._response is None and self._protocol.handshake_exc:
                raise ConnectionError(f"the upgrade failed: {self._protocol.handshake_exc}")
        if self._protocol.handshake_exc:
            response = self._response
            lower_case = {name.lower(): value for name, value in response.headers.raw_items()}
            raise UpgradeRefused(Answer(response.status_code, lower_case, bytes(response.body or b"")))

    def _read(self) -> None:
        self._socket.settimeout(0)
        try:
            data = self._socket.recv(READ_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        self._feed(data)
        with contextlib.suppress(OSError):
            self._flush()

    def _feed(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._response = event
            elif isinstance(event, Frame):
                self._take(event)

    def _take(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            self._partial = [bytes(frame.data)]
        elif self._partial and frame.opcode is Opcode.CONT:
            self._partial.append(bytes(frame.data))
        else:
            return
        if frame.fin:
            self._messages.append(b"".join(self._partial))
            self._partial = []

    def _flush(self) -> None:
        self._socket.settimeout(self._timeout_s)
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)
