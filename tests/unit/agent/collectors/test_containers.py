"""Containers, as an engine tells them."""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from muster_agent.collectors.containers import ContainerCollector, Engine, open_engine
from muster_agent.collectors.engine import EngineFailed

RUNNING = {"Id": "aa", "Names": ["/web"], "Image": "nginx:1.27", "State": "running"}
DEADLINE_S = 10.0
ENDED = {"Id": "bb", "Names": ["/a-job"], "Image": "busybox", "State": "exited"}


class FakeEngine:
    """An engine whose answers are given."""

    def __init__(self) -> None:
        self.listed: object = [ENDED, RUNNING]
        self.counters: object = {}
        self.asked: list[str] = []

    def containers(self) -> object:
        return self.listed

    def stats(self, container_ids: Sequence[str]) -> Mapping[str, object]:
        self.asked += container_ids
        return {} if self.counters is None else dict.fromkeys(container_ids, self.counters)


def counters(cpu_ns: int, received: int, read: str = "") -> dict[str, Any]:
    return {
        "read": read,
        "cpu_stats": {"cpu_usage": {"total_usage": cpu_ns}},
        "memory_stats": {"usage": 1000, "stats": {"inactive_file": 300}},
        "networks": {"eth0": {"rx_bytes": received, "tx_bytes": 0}, "eth1": {"rx_bytes": 1, "tx_bytes": 0}},
    }


def test_use_and_traffic_are_measured_from_one_collection_to_the_next() -> None:
    engine = FakeEngine()
    collector = ContainerCollector(lambda: engine)
    engine.counters = counters(1_000_000_000, 100, "2026-01-02T03:04:05.5Z")
    collector.collect(0.0)
    engine.counters = counters(16_000_000_000, 1100, "2026-01-02T04:04:15.500000000+01:00")
    listed = collector.collect(1.0)["containers"]
    assert isinstance(listed, list)
    expected = {"name": "web", "image": "nginx:1.27", "state": "running", "cpu_percent": 150.0, "mem_used": 700}
    assert {**expected, "net_rx_rate": 100.0, "net_tx_rate": 0.0} == listed[0]
    assert ("a-job", "exited", None, None) == tuple(
        listed[1][key] for key in ("name", "state", "cpu_percent", "mem_used")
    )
    assert ["aa", "aa"] == engine.asked


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),  # no time has passed
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:04Z"),  # a clock that was set
        ("2026-01-02T03:04:05Z", "2026-99-02T03:04:05Z"),
        ("", "2026-01-02T03:04:05Z"),
    ],
)
def test_there_are_no_rates_without_a_time_between_two_readings(first: str, second: str) -> None:
    engine = FakeEngine()
    collector = ContainerCollector(lambda: engine)
    for cpu_ns, read in ((1, first), (2, second)):
        engine.counters = counters(cpu_ns, 0, read)
        listed = collector.collect(0.0)["containers"]
    assert isinstance(listed, list)
    assert (None, None, 700) == tuple(listed[0][key] for key in ("cpu_percent", "net_rx_rate", "mem_used"))


def test_a_container_whose_counters_cannot_be_had_is_listed_all_the_same() -> None:
    engine = FakeEngine()
    engine.counters = None
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


@pytest.mark.parametrize("odd", ["", [], {"cpu_stats": 5, "networks": [], "memory_stats": {"usage": "x"}}])
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
    request_queue_size = 64


class SlowEngine:
    """Speaks as an engine does; it answers for counters only when those of all who run have been asked for."""

    def __init__(self, folder: Path, running: int) -> None:
        self.path = folder / "e.sock"
        self.listed: object = [{**RUNNING, "Id": f"c{number}"} for number in range(running)]
        all_asked = threading.Barrier(running)
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/containers/json?all=true":
                    self._say(200, engine.listed)
                    return
                all_asked.wait(DEADLINE_S)
                found = re.fullmatch(r"/containers/c(\d+)/stats\?stream=false&one-shot=true", self.path)
                self._say(200 if found else 404, counters(int(found[1]) if found else 0, 6))

            def _say(self, status: int, value: object) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: object) -> None:
                pass

        self.server = _Server(str(self.path), Handler)


@contextlib.contextmanager
def serving(server: _Server) -> Iterator[None]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def opened(path: Path) -> Engine:
    engine = open_engine([path])
    assert engine
    return engine


def test_an_engine_is_asked_over_its_socket(tmp_path: Path) -> None:
    slow = SlowEngine(tmp_path, running=1)
    with serving(slow.server):
        listed = ContainerCollector(lambda: opened(slow.path)).collect(0.0)["containers"]
    assert isinstance(listed, list)
    assert [("web", 700)] == [(each["name"], each["mem_used"]) for each in listed]


def test_all_counters_are_asked_for_before_the_first_is_waited_for(tmp_path: Path) -> None:
    slow = SlowEngine(tmp_path, running=32)
    with serving(slow.server):
        ids = [f"c{number}" for number in range(32)]
        assert {f"c{number}": counters(number, 6) for number in range(32)} == opened(slow.path).stats(ids)


def test_counters_that_cannot_be_had_cost_only_themselves(tmp_path: Path) -> None:
    slow = SlowEngine(tmp_path, running=2)
    with serving(slow.server):
        assert {"c1": counters(1, 6)} == opened(slow.path).stats(["../../secrets", "c1"])


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "the engine answers 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", "Expecting value"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, answer: bytes, complaint: str) -> None:
    path = tmp_path / "e.sock"

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with serving(_Server(str(path), Handler)), pytest.raises((EngineFailed, ValueError), match=complaint):
        opened(path).containers()
