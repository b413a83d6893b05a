"""A stand-in for the ingest service: keeps what agents send, and fails in the ways that a test asks for."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.fake_stream import FakeStream

DEADLINE_S = 10.0


@dataclass(frozen=True)
class FakeAnswer:
    """What a request is answered with."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeIngest:
    """Speaks the agents' part of the HTTP interface on loopback, from `start` to `stop`, always on the same port.

    With a `certificate` (and its key, in one file) it speaks TLS. Everything that arrived stands in its attributes;
    `wait_until` waits for it.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self.token = "enrol-me"
        self.secret = "the-agents-secret"
        # The secret that was offered: with its first use the other one is void.
        self.offered = ""
        self.wants_rotation = False
        self.interval_s: float | None = None
        self.enrolments: list[dict[str, Any]] = []
        self.handshakes: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.requests: list[str] = []
        # what is answered to GET, by path
        self.files: dict[str, bytes] = {}
        self.largest_batch = 0
        self.most_at_once = 0
        # What the stream says in a `config`, beside the interval.
        self.terms: dict[str, Any] = {"heartbeat_s": 5.0, "window": 8, "backfill_per_s": 1000}
        self.upgrade_refusal: FakeAnswer | None = None
        self.connections = 0
        self.upgrades = 0
        # Streams are opened, and nothing comes through.
        self.is_mute = False
        self.streams: list[FakeStream] = []
        # (boot_id, seq) of what the server would hold, by the rules of "Samples that come late".
        self.history: list[tuple[str, int]] = []
        self._newest: dict[str, int] = {}
        self._newest_late: dict[str, int] = {}
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
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self._port}"

    @property
    def goodbyes(self) -> int:
        """How often an agent took its leave."""
        return self.requests.count("/ingest/v1/disconnect") + self.requests.count("goodbye")

    def start(self) -> None:
        """Listen: on a free port the first time, on the same one later."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        if self._certificate:
            self._server.speak_tls(self._certificate)
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
        """Answer the next requests to `path` (after `/ingest/v1`) with these, in this order.

        A path without a slash is the `op` of a message of the stream.
        """
        with self._changed:
            key = f"/ingest/v1{path}" if path.startswith("/") else path
            self._scripted.setdefault(key, []).extend(scripted)

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

    def missing(self) -> list[tuple[str, int]]:
        """Give the samples that never arrived, although later ones of the same start did."""
        with self._changed:
            held = set(self.history)
            newest = {boot_id: max(seq for boot, seq in held if boot == boot_id) for boot_id, _ in held}
        return [
            (boot_id, seq) for boot_id, last in newest.items() for seq in range(1, last) if (boot_id, seq) not in held
        ]

    def messages(self, op: str) -> list[dict[str, Any]]:
        """Give what came over streams, of all connections in turn."""
        with self._changed:
            return [each for stream in self.streams for each in stream.received if each["op"] == op]

    def reconfigure(self, **terms: Any) -> None:  # noqa: ANN401 - JSON is of any type
        """Tell the newest stream that the server wishes something else."""
        self.terms |= terms
        self.streams[-1].send({"op": "config", **terms})

    def close_streams(self, code: int, reason: str = "") -> None:
        """Close every stream with a code."""
        for stream in list(self.streams):
            stream.close(code, reason)

    def go_silent(self) -> None:
        """Take what comes over the streams that are open, and never answer there again."""
        for stream in self.streams:
            stream.is_silent = True

    def refuse_upgrade(self) -> FakeAnswer | None:
        """Note that a stream is asked for; give the answer where it is not to be."""
        with self._changed:
            self.upgrades += 1
            self._changed.notify_all()
            return self.upgrade_refusal

    def serve_stream(self, stream: FakeStream) -> None:
        """Serve one stream until it ends."""
        with self._changed:
            stream.is_silent = self.is_mute
            self.streams.append(stream)
            self._changed.notify_all()
        while (messages := stream.receive()) is not None:
            self._may_answer.wait()
            for message in messages:
                self._hear(stream, message)

    def _hear(self, stream: FakeStream, message: dict[str, Any]) -> None:
        with self._changed:
            if stream.is_silent or self._server is None:
                return
            answers = self._replies(message)
            self._changed.notify_all()
        for answer in answers:
            stream.send(answer)
        if message["op"] == "goodbye":
            stream.close(1000)

    def _replies(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        op, seq = message["op"], message["seq"]
        self.requests.append(op)
        if self._scripted.get(op):
            return [{"seq": seq, **self._scripted[op].pop(0).body}]
        if op == "handshake":
            answer = self._shake_hands(message)
            return [{"op": "config", **answer.body, **self.terms}, {"op": "ack", "seq": seq}]
        if op == "metrics":
            return [{"op": "ack", "seq": seq, **self._store(message["samples"]).body}]
        return [{"op": "ack", "seq": seq}]

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
        if not self.recognises(authorization):
            return FakeAnswer(401, {"code": "unauthenticated", "detail": "unknown secret"})
        if path == "/ingest/v1/rotate":
            return self._offer()
        if path == "/ingest/v1/disconnect":
            return FakeAnswer(204)
        return self._shake_hands(json.loads(body)) if path == "/ingest/v1/handshake" else self._store(json.loads(body))

    def recognises(self, authorization: str) -> bool:
        """Tell whether this is the agent; the first use of a secret that was offered voids the one before it."""
        if self.offered and authorization == f"Bearer {self.offered}":
            self.secret, self.offered, self.wants_rotation = self.offered, "", False
        return authorization == f"Bearer {self.secret}"

    def _offer(self) -> FakeAnswer:
        self.offered = f"secret-{len(self.requests)}"
        return FakeAnswer(200, {"secret": self.offered})

    def _enrol(self, message: dict[str, Any]) -> FakeAnswer:
        if message.get("token") != self.token:
            return FakeAnswer(401, {"code": "unauthenticated", "detail": "the enrolment token is not valid"})
        self.enrolments.append(message)
        given = {"agent_id": "a_1", "secret": self.secret, "server_id": "s_1", "workspace_id": "w_1"}
        return FakeAnswer(201, given)

    def _shake_hands(self, message: dict[str, Any]) -> FakeAnswer:
        self.handshakes.append(message)
        interval_s = message["interval_s"] if self.interval_s is None else self.interval_s
        said = {"server_id": "s_1", "server_time": "2026-01-01T00:00:00Z", "interval_s": interval_s}
        return FakeAnswer(200, {**said, "rotate": self.wants_rotation})

    def _store(self, samples: list[dict[str, Any]]) -> FakeAnswer:
        self.samples += samples
        for sample in samples:
            self._keep(sample["boot_id"], sample["seq"])
        self.largest_batch = max(self.largest_batch, len(samples))
        return FakeAnswer(202, {"accepted": len(samples), "rejected": []})

    def _keep(self, boot_id: str, seq: int) -> None:
        newest = self._newest.get(boot_id, 0)
        is_late = seq < newest or (self.handshakes and self.handshakes[-1]["boot_id"] != boot_id)
        if is_late and seq <= self._newest_late.get(boot_id, 0):
            return
        if (boot_id, seq) in self.history:
            return
        self.history.append((boot_id, seq))
        (self._newest_late if is_late else self._newest)[boot_id] = seq

    def _summary(self) -> str:
        return f"{len(self.samples)} samples, {len(self.handshakes)} handshakes, requests {self.requests[-10:]}"


class _Server(ThreadingHTTPServer):
    """Keeps track of its connections, so that they can be cut."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], ingest: FakeIngest) -> None:
        self.ingest = ingest
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def speak_tls(self, certificate: Path) -> None:
        """Shake hands with each connection as soon as it is read from, in its own thread."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:  # noqa: ANN401 - the type is socketserver's
        """Remember the connection while it is open."""
        self.ingest.connections += 1
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

    def do_GET(self) -> None:
        """Open a stream, if one is asked for and may be; else answer a download."""
        ingest = self.server.ingest
        if "Upgrade" not in self.headers:
            self._download(ingest.file(self.path))
            return
        refusal = ingest.refuse_upgrade()
        if refusal is None and not ingest.recognises(self.headers.get("Authorization", "")):
            refusal = FakeAnswer(401, {"code": "unauthenticated", "detail": "unknown secret"})
        if refusal is not None:
            self._answer(refusal)
            return
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        stream = FakeStream(self.connection)
        stream.accept(f"{self.requestline}\r\n{fields}\r\n".encode())
        self.close_connection = True
        ingest.serve_stream(stream)

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.server.ingest.answer(self.path, dict(self.headers.items()), body))

    def _answer(self, answer: FakeAnswer) -> None:
        encoded = b"" if answer.status == 204 else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def _download(self, content: bytes | None) -> None:
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the signature is http.server's
        """Say nothing: tests look at what arrived."""
