"""Containers, as an engine tells them."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from muster_agent.collectors.containers import ContainerCollector, Engine, open_engine
from muster_agent.collectors.engine import EngineFailed

RUNNING = {"Id": "aa", "Names": ["/web"], "Image": "nginx:1.27", "State": "running"}
ENDED = {"Id": "bb", "Names": ["/a-job"], "Image": "busybox", "State": "exited"}


class FakeEngine:
    """An engine whose answers are given."""

    def __init__(self) -> None:
        self.listed: object = [ENDED, RUNNING]
        self.counters: object = {}
        self.asked: list[str] = []
        self.is_closed = False

    def containers(self) -> object:
        return self.listed

    def stats(self, container_id: str) -> object:
        self.asked.append(container_id)
        if isinstance(self.counters, Exception):
            raise self.counters
        return self.counters

    def close(self) -> None:
        self.is_closed = True


def counters(cpu_ns: int, received: int) -> dict[str, Any]:
    return {
        "cpu_stats": {"cpu_usage": {"total_usage": cpu_ns}},
        "memory_stats": {"usage": 1000, "stats": {"inactive_file": 300}},
        "networks": {"eth0": {"rx_bytes": received, "tx_bytes": 0}, "eth1": {"rx_bytes": 1, "tx_bytes": 0}},
    }


def test_use_and_traffic_are_measured_from_one_collection_to_the_next() -> None:
    engine = FakeEngine()
    collector = ContainerCollector(lambda: engine)
    engine.counters = counters(1_000_000_000, 100)
    collector.collect(10.0)
    engine.counters = counters(16_000_000_000, 1100)
    listed = collector.collect(20.0)["containers"]
    assert isinstance(listed, list)
    expected = {"name": "web", "image": "nginx:1.27", "state": "running", "cpu_percent": 150.0, "mem_used": 700}
    assert {**expected, "net_rx_rate": 100.0, "net_tx_rate": 0.0} == listed[0]
    assert ("a-job", "exited", None, None) == tuple(
        listed[1][key] for key in ("name", "state", "cpu_percent", "mem_used")
    )
    assert ["aa", "aa"] == engine.asked
    assert engine.is_closed


def test_a_container_whose_counters_cannot_be_had_is_listed_all_the_same() -> None:
    engine = FakeEngine()
    engine.counters = EngineFailed("the engine answers 404")
    listed = ContainerCollector(lambda: engine).collect(0.0)["containers"]
    assert isinstance(listed, list)
    assert ("web", None) == (listed[0]["name"], listed[0]["cpu_percent"])


def test_no_more_than_32_are_listed_and_asked() -> None:
    engine = FakeEngine()
    engine.listed = [{**RUNNING, "Id": f"{number}"} for number in range(500)]
    listed = ContainerCollector(lambda: engine).collect(0.0)["containers"]
    assert isinstance(listed, list)
    assert (32, 32) == (len(listed), len(engine.asked))


@pytest.mark.parametrize("listed", [None, {}, [5, {"Id": 7}, {}], "text"])
def test_an_odd_answer_lists_none(listed: object) -> None:
    engine = FakeEngine()
    engine.listed = listed
    assert {"containers": []} == ContainerCollector(lambda: engine).collect(0.0)


@pytest.mark.parametrize("odd", [None, [], {"cpu_stats": 5, "networks": [], "memory_stats": {"usage": "x"}}])
def test_odd_counters_are_passed_over(odd: object) -> None:
    engine = FakeEngine()
    engine.counters = odd
    listed = ContainerCollector(lambda: engine).collect(0.0)["containers"]
    assert isinstance(listed, list)
    assert (None, None) == (listed[0]["cpu_percent"], listed[0]["mem_used"])


def test_a_machine_without_an_engine_has_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert {} == ContainerCollector(lambda: open_engine([tmp_path / "missing.sock"])).collect(0.0)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def socket_path(tmp_path: Path) -> Iterator[Path]:
    """Give the socket of a server that speaks as an engine does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            is_list = self.path == "/containers/json?all=true"
            is_stats = self.path == "/containers/aa/stats?stream=false&one-shot=true"
            body = json.dumps([RUNNING] if is_list else counters(5, 6)).encode()
            self.send_response(200 if is_list or is_stats else 404)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

    path = tmp_path / "e.sock"
    server = _Server(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield path
    server.shutdown()
    server.server_close()
    thread.join()


def opened(path: Path) -> Engine:
    engine = open_engine([path])
    assert engine
    return engine


def test_an_engine_is_asked_over_its_socket(socket_path: Path) -> None:
    listed = ContainerCollector(lambda: opened(socket_path)).collect(0.0)["containers"]
    assert isinstance(listed, list)
    assert [("web", 700)] == [(each["name"], each["mem_used"]) for each in listed]


def test_an_engines_error_is_told(socket_path: Path) -> None:
    engine = opened(socket_path)
    with pytest.raises(EngineFailed, match="answers 404"):
        engine.stats("../../secrets")
    engine.close()


def test_an_answer_that_breaks_off_spoils_nothing_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"]

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(answers.pop(0))

    with _Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        engine = opened(path)
        try:
            with pytest.raises(ValueError, match="Expecting"):
                engine.containers()
            assert [] == engine.containers()
        finally:
            engine.close()
            server.shutdown()
            thread.join()
