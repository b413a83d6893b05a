"""How the threads begin, fail and end."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from muster_agent import agent as agent_module
from muster_agent import exchange as exchange_module
from muster_agent.agent import Agent
from muster_agent.answers import Answer
from muster_agent.backlog import Backlog
from muster_agent.backoff import Backoff
from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.channel import Channel
from muster_agent.collectors.base import CollectorGroup
from muster_agent.credential import Credential, StateDirectory
from muster_agent.delivery import Delivery
from muster_agent.exchange import Exchange
from muster_agent.facts import Facts
from muster_agent.membership import Application, Membership
from muster_agent.pace import Pace
from muster_agent.posting import Posting
from muster_agent.reporter import Reporter
from muster_agent.sampler import Outlet, Sampler
from muster_agent.spool import Spool
from muster_agent.stream import Stream
from muster_agent.transport import Transport
from muster_agent.wire import Waker, Wire
from tests.support.scripted_network import ScriptedNetwork, answer

URL = "https://muster.example.org"
REFUSED = answer(401, {"code": "unauthenticated"})
NO_COLLECTORS = CollectorGroup([])
DEADLINE_S = 10.0


class BrokenSampler(Sampler):
    """Fails as soon as it runs."""

    def run(self, exchange: Outlet) -> None:
        """Fail."""
        raise RuntimeError(f"no sample every {exchange.interval_s} s")


class ObligingNetwork(ScriptedNetwork):
    """Answers as a healthy server that knows no enrolment token."""

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float, *, repeats: bool) -> Answer:
        """Answer by the path."""
        paths = {"/enroll": REFUSED, "/handshake": answer(200, {"server_id": "s_1"}), "/disconnect": answer(204)}
        self.then(paths[path.removeprefix("/ingest/v1")])
        return super().post(path, body, headers, timeout_s, repeats=repeats)


def no_stream(waker: Waker) -> Wire:
    raise AssertionError(f"nobody expected a stream, {waker}")


class Bench:
    """An agent that samples once an hour."""

    def __init__(
        self, state_dir: Path, sampler: Sampler, credential: Credential | None, spool: Spool | None = None
    ) -> None:
        self.network = ObligingNetwork()
        transport = Transport(URL, self.network)
        exchange = Exchange(Backlog(spool, SampleBuffer()), 3600.0)
        facts = Facts("boot-1", 3600.0, NO_COLLECTORS, NO_COLLECTORS)
        application = Application("sesame", "vm", "m", "")
        membership = Membership(StateDirectory(state_dir), transport, application, facts, credential)
        delivery, pace = Delivery(exchange, Backoff()), Pace()
        posting = Posting(transport, membership, delivery, pace)
        stream = Stream(no_stream, membership, delivery, pace)
        reporter = Reporter(membership, delivery, stream, posting, Channel("http"))
        self.agent = Agent(sampler, reporter, exchange, transport)


def bench(tmp_path: Path, *, is_broken: bool = False, is_enrolled: bool = True) -> Bench:
    sampler = BrokenSampler(NO_COLLECTORS, "boot-1") if is_broken else Sampler(NO_COLLECTORS, "boot-1")
    return Bench(tmp_path, sampler, Credential("a_1", "hush", "s_1", "w_1", URL) if is_enrolled else None)


def test_a_stop_asked_for_before_the_start_is_heard(tmp_path: Path) -> None:
    parts = bench(tmp_path)
    parts.agent.stop()
    assert parts.agent.run()
    assert "/disconnect" == parts.network.paths()[-1]


def test_a_sampler_that_fails_takes_the_agent_down_loudly_but_politely(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = bench(tmp_path, is_broken=True)
    assert not parts.agent.run()
    assert "/disconnect" == parts.network.paths()[-1]
    failure = next(record for record in caplog.records if record.message == "the sampling thread failed")
    assert logging.ERROR == failure.levelno
    assert failure.exc_info
    assert "no sample every 3600.0 s" == str(failure.exc_info[1])


def test_a_refused_enrolment_takes_the_agent_down_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = bench(tmp_path, is_enrolled=False)
    assert not parts.agent.run()
    assert [f"{URL} refused the enrolment: HTTP 401: unauthenticated"] == caplog.messages
    assert None is caplog.records[0].exc_info


def test_a_request_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent_module, "LEAVE_S", 0.05)
    parts = bench(tmp_path)
    may_answer = threading.Event()

    def hang() -> None:
        may_answer.wait()

    parts.network.on_request = hang
    parts.agent.stop()
    assert parts.agent.run()
    assert ["the server or the disk does not answer; leaving"] == caplog.messages
    may_answer.set()


class HungDisk(Spool):
    """Never takes a sample in, and calls `on_hang` first."""

    on_hang: Callable[[], None]

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, capacity=100)
        self.may_answer = threading.Event()

    def append(self, samples: Sequence[Sample], now_s: float) -> None:
        """Hang."""
        del samples, now_s
        self.on_hang()
        self.may_answer.wait()


class OneSample(Sampler):
    """Hands over one sample while the server is away, so that it is written at once."""

    def run(self, exchange: Outlet) -> None:
        """Hand it over."""
        assert isinstance(exchange, Exchange)
        exchange.lost()
        exchange.add(Sample("boot-1", 1, b"{}"))


def test_a_disk_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module, name in ((agent_module, "LEAVE_S"), (agent_module, "STORE_S"), (exchange_module, "LOCK_WITHIN_S")):
        monkeypatch.setattr(module, name, 0.05)
    disk = HungDisk(tmp_path / "spool")
    credential = Credential("a_1", "hush", "s_1", "w_1", URL)
    parts = Bench(tmp_path, OneSample(NO_COLLECTORS, "boot-1"), credential, disk)
    disk.on_hang = parts.agent.stop
    assert parts.agent.run()
    assert [
        "the server or the disk does not answer; leaving",
        "the disk does not answer; what it has not got of the last samples is lost",
    ] == [record.message for record in caplog.records if record.levelno == logging.WARNING]
    disk.may_answer.set()


class CuriousSampler(Sampler):
    """Tells which signals its thread does not take."""

    def __init__(self) -> None:
        super().__init__(NO_COLLECTORS, "boot-1")
        self.blocked: queue.SimpleQueue[set[int]] = queue.SimpleQueue()

    def run(self, exchange: Outlet) -> None:
        """Tell, and end."""
        del exchange
        self.blocked.put({int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())})


def test_signals_are_left_to_the_main_thread(tmp_path: Path) -> None:
    sampler = CuriousSampler()
    parts = Bench(tmp_path, sampler, Credential("a_1", "hush", "s_1", "w_1", URL))
    parts.agent.stop()
    parts.agent.run()
    assert {signal.SIGTERM, signal.SIGINT} <= sampler.blocked.get(timeout=DEADLINE_S)
