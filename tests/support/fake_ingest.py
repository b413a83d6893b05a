"""A stand-in for the ingest service: keeps what agents send, and fails in the ways that a test asks for."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE_S = 10.0


@dataclass(frozen=True)
class FakeAnswer:
    """What a request is answered with."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeIngest:
    """Speaks the agents' part of the HTTP interface on loopback, from `start` to `stop`, always on the same port.

    Everything that arrived stands in its attributes; `wait_until` waits for it.
    """

    def __init__(self) -> None:
        self.token = "enrol-me"
        self.secret = "the-agents-secret"
        self.interval_s: float | None = None
        self.enrolments: list[dict[str, Any]] = []
        self.handshakes: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.requests: list[str] = []
        # what is answered to GET, by path
        self.files: dict[str, bytes] = {}
        self.largest_batch = 0
        self.most_at_once = 0
        self._scripted: dict[str, list[FakeAnswer]] = {}
        self._under_way = 0
        self._changed = threading.Condition()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where an agent finds it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def goodbyes(self) -> int:
        """How often an agent took its leave."""
        return self.requests.count("/ingest/v1/disconnect")

    def start(self) -> None:
        """Listen: on a free port the first time, on the same one later."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fake ingest")
        self._thread.start()

    def stop(self) -> None:
        """Refuse and cut all connections, as a process that was killed does."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._server = self._thread = None
        self._may_answer.set()
        server.shutdown()
        thread.join()
        server.cut_connections()
        server.server_close()

    def hold_answers(self) -> None:
        """Take requests, but do not answer them."""
        self._may_answer.clear()

    def release_answers(self) -> None:
        """Answer again, first what was held."""
        self._may_answer.set()

    def script(self, path: str, *scripted: FakeAnswer) -> None:
        """Answer the next requests to `path` (after `/ingest/v1`) with these, in this order."""
        with self._changed:
            self._scripted.setdefault(f"/ingest/v1{path}", []).extend(scripted)

    def wait_until(self, condition: Callable[[FakeIngest], bool], deadline_s: float = DEADLINE_S) -> None:
        """Block until the condition holds for what has arrived; fail when the deadline has passed."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), deadline_s), f"not in time; {self._summary()}"

    def sequence_numbers(self) -> list[int]:
        """Give the numbers of the samples in the order in which they arrived."""
        with self._changed:
            return [sample["seq"] for sample in self.samples]

    def duplicates(self) -> int:
        """Count samples that arrived more than once."""
        with self._changed:
            times = Counter((sample["boot_id"], sample["seq"]) for sample in self.samples)
        return sum(times.values()) - len(times)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> FakeAnswer:
        """Serve one request. Raises ConnectionAbortedError when the service was stopped meanwhile."""
        with self._changed:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            self.requests.append(path)
            self._changed.notify_all()
        self._may_answer.wait()
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()
            if self._server is None:
                raise ConnectionAbortedError
            return self._serve(path, headers.get("Authorization", ""), body)

    def file(self, path: str) -> bytes | None:
        """Give what is downloaded from a path, None for what does not exist."""
        with self._changed:
            self.requests.append(path)
            self._changed.notify_all()
            return self.files.get(path)

    def _serve(self, path: str, authorization: str, body: bytes) -> FakeAnswer:
        if self._scripted.get(path):
            return self._scripted[path].pop(0)
        if path == "/ingest/v1/enroll":
            return self._enrol(json.loads(body))
        if authorization != f"Bearer {self.secret}":
            return FakeAnswer(401, {"code": "unauthenticated", "detail": "unknown secret"})
        if path == "/ingest/v1/disconnect":
            return FakeAnswer(204)
        return self._shake_hands(json.loads(body)) if path == "/ingest/v1/handshake" else self._store(json.loads(body))

    def _enrol(self, message: dict[str, Any]) -> FakeAnswer:
        if message.get("token") != self.token:
            return FakeAnswer(401, {"code": "unauthenticated", "detail": "the enrolment token is not valid"})
        self.enrolments.append(message)
        given = {"agent_id": "a_1", "secret": self.secret, "server_id": "s_1", "workspace_id": "w_1"}
        return FakeAnswer(201, given)

    def _shake_hands(self, message: dict[str, Any]) -> FakeAnswer:
        self.handshakes.append(message)
        interval_s = message["interval_s"] if self.interval_s is None else self.interval_s
        return FakeAnswer(200, {"server_id": "s_1", "server_time": "2026-01-01T00:00:00Z", "interval_s": interval_s})

    def _store(self, samples: list[dict[str, Any]]) -> FakeAnswer:
        self.samples += samples
        self.largest_batch = max(self.largest_batch, len(samples))
        return FakeAnswer(202, {"accepted": len(samples), "rejected": []})

    def _summary(self) -> str:
        return f"{len(self.samples)} samples, {len(self.handshakes)} handshakes, requests {self.requests[-10:]}"


class _Server(ThreadingHTTPServer):
    """Keeps track of its connections, so that they can be cut."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], ingest: FakeIngest) -> None:
        self.ingest = ingest
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:  # noqa: ANN401 - the type is socketserver's
        """Remember the connection while it is open."""
        if isinstance(request, socket.socket):
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget a connection that ends by itself."""
        if isinstance(request, socket.socket):
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the types are socketserver's
        """Cutting connections breaks answers that are under way: that is what it is for."""

    def cut_connections(self) -> None:
        """End every connection as it is."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It has ended by itself meanwhile.
                continue


class _Handler(BaseHTTPRequestHandler):
    """Carries a request's parts to FakeIngest and its answer back."""

    protocol_version = "HTTP/1.1"
    # An answer's head and body are written apart: without this each answer would wait 40 ms for the client's ACK.
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.ingest.answer(self.path, dict(self.headers.items()), body)
        encoded = b"" if answer.status == 204 else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def do_GET(self) -> None:
        """Answer a download."""
        content = self.server.ingest.file(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the signature is http.server's
        """Say nothing: tests look at what arrived."""
