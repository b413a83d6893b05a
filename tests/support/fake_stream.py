"""The stream of the stand-in for ingest: WebSockets on the port that serves its plain requests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol


class FakeStream:
    """One connection. `received` has the messages of the agent; `is_silent` takes them and does nothing more."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._protocol = ServerProtocol(subprotocols=[Subprotocol("muster.agent.v1")])
        self._writing = threading.Lock()
        self.received: list[dict[str, Any]] = []
        self.is_silent = False

    @property
    def subprotocol(self) -> str | None:
        """What the two sides have agreed on."""
        return self._protocol.subprotocol

    def accept(self, request: bytes) -> None:
        """Answer to the upgrade."""
        self._protocol.receive_data(request)
        asked = next(event for event in self._protocol.events_received() if isinstance(event, Request))
        with self._writing:
            self._protocol.send_response(self._protocol.accept(asked))
            self._flush()

    def receive(self) -> list[dict[str, Any]] | None:
        """Wait for messages; None once the connection has ended."""
        try:
            data = self._connection.recv(65_536)
        except OSError:
            return None
        with self._writing:
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            frames = [event for event in self._protocol.events_received() if isinstance(event, Frame)]
            self._flush()
        messages = [json.loads(bytes(frame.data)) for frame in frames if frame.opcode is Opcode.TEXT]
        self.received += messages
        return messages if data and self._protocol.state is State.OPEN else messages or None

    def send(self, message: Mapping[str, Any]) -> None:
        """Say something, unless the connection has ended."""
        with self._writing:
            try:
                self._protocol.send_text(json.dumps(message).encode())
            except ConnectionClosed:
                return
            self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """End the connection in order."""
        with self._writing:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
                self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            try:
                self._connection.sendall(data)
            except OSError:
                return
