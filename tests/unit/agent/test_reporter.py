"""What the agent does next, and what each failure leads to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from muster_agent.backoff import Backoff
from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.collectors.base import CollectorGroup, Reading
from muster_agent.credential import Credential, StateDirectory
from muster_agent.errors import EnrolmentRefused
from muster_agent.exchange import Exchange
from muster_agent.facts import Facts
from muster_agent.membership import Application, Membership
from muster_agent.reporter import Reporter
from muster_agent.transport import Transport
from tests.support.scripted_network import ScriptedNetwork, answer

URL = "https://muster.example.org"
CREDENTIAL = Credential("a_1", "hush", "s_1", "w_1", URL)
ENROLLED = {"agent_id": "a_1", "secret": "hush", "server_id": "s_1", "workspace_id": "w_1"}


def greeted(interval_s: float = 5.0) -> httpx.Response:
    return answer(200, {"server_id": "s_1", "server_time": "2026-01-01T00:00:00Z", "interval_s": interval_s})


def accepted(*rejected: Mapping[str, object]) -> httpx.Response:
    return answer(202, {"accepted": 1, "rejected": list(rejected)})


class Bench:
    """A reporter with all its parts, a network that answers by script, and a clock that only the test moves."""

    def __init__(self, state_dir: Path, credential: Credential | None = CREDENTIAL) -> None:
        self.now_s = 1000.0
        self.network = ScriptedNetwork()
        self.exchange = Exchange(SampleBuffer(), 5.0)
        self.os: dict[str, object] = {"name": "Debian"}
        self.os_reads = 0
        state = StateDirectory(state_dir)
        state.prepare()
        transport = Transport(URL, self.network)
        machine = CollectorGroup([Reading("the machine", self.read_os)])
        facts = Facts("boot-1", 5.0, machine, CollectorGroup([]))
        membership = Membership(state, transport, Application("sesame", "vm", "m", ""), facts, credential)
        backoff = Backoff(lambda _low, high: high)
        self.reporter = Reporter(transport, self.exchange, membership, backoff, lambda: self.now_s)

    def take_samples(self, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            self.exchange.add(Sample(seq, b'{"seq":%d}' % seq))

    def read_os(self) -> Mapping[str, object]:
        self.os_reads += 1
        return self.os

    def connect(self) -> None:
        self.network.then(greeted())
        self.reporter.step()

    def pass_most_of_a_second(self) -> None:
        self.now_s += 0.75

    def waiting(self) -> list[int]:
        return [sample.seq for sample in self.exchange.oldest(10_000)]

    def sent(self, index: int = -1) -> list[int]:
        return [sample["seq"] for sample in self.network.body(index)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_new_machine_enrols_then_shakes_hands_then_delivers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, credential=None)
    bench.take_samples(1, 2)
    bench.network.then(answer(201, ENROLLED), greeted(), accepted())
    assert [0.0, 0.0, 0.0, None] == [bench.reporter.step() for _ in range(4)]
    assert ["/enroll", "/handshake", "/metrics"] == bench.network.paths()
    assert [1, 2] == bench.sent()
    assert [] == bench.waiting()


def test_a_known_machine_begins_with_a_handshake(bench: Bench) -> None:
    bench.network.then(greeted())
    bench.reporter.step()
    assert ["/handshake"] == bench.network.paths()


def test_a_refused_enrolment_ends_the_agent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, credential=None)
    bench.network.then(answer(401))
    with pytest.raises(EnrolmentRefused):
        bench.reporter.step()


def test_an_enrolment_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    bench = Bench(tmp_path, credential=None)
    bench.network.then(httpx.ConnectError("refused"), answer(502), answer(201, ENROLLED))
    assert [0.5, 1.0, 0.0] == [bench.reporter.step() for _ in range(3)]


def test_the_servers_interval_is_taken(bench: Bench) -> None:
    bench.network.then(greeted(interval_s=30.0))
    bench.reporter.step()
    assert 30.0 == bench.exchange.interval_s


def test_a_backlog_goes_in_order_at_most_500_a_request(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1200)
    bench.network.then(accepted(), accepted(), accepted())
    assert [0.0, 0.0, 0.0, None] == [bench.reporter.step() for _ in range(4)]
    assert [*range(1, 501)] == bench.sent(1)
    assert [*range(501, 1001)] == bench.sent(2)
    assert [*range(1001, 1201)] == bench.sent(3)


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), answer(500), answer(503), answer(404)]
)
def test_an_outage_keeps_the_samples_and_ends_with_a_handshake(
    bench: Bench, failure: httpx.Response | Exception
) -> None:
    bench.connect()
    bench.take_samples(1, 2)
    bench.network.then(failure)
    assert 0.5 == bench.reporter.step()
    assert [1, 2] == bench.waiting()
    bench.take_samples(3, 3)
    bench.network.then(greeted(), accepted())
    assert [0.0, 0.0] == [bench.reporter.step() for _ in range(2)]
    assert ["/handshake", "/metrics", "/handshake", "/metrics"] == bench.network.paths()
    assert [1, 2, 3] == bench.sent()
    assert [] == bench.waiting()


def test_waits_grow_until_something_is_delivered(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(503), greeted(), answer(503), greeted(), answer(503), greeted(), accepted())
    assert [0.5, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0] == [bench.reporter.step() for _ in range(7)]
    bench.take_samples(2, 2)
    bench.network.then(answer(503))
    assert 0.5 == bench.reporter.step()


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_wins(bench: Bench, status: int) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(status, headers={"Retry-After": "30"}))
    assert 33.0 == bench.reporter.step()


def test_being_throttled_is_no_outage_and_needs_no_handshake(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(429), accepted())
    assert [0.5, 0.0] == [bench.reporter.step() for _ in range(2)]
    assert ["/handshake", "/metrics", "/metrics"] == bench.network.paths()


@pytest.mark.parametrize("status", [401, 403])
def test_a_revoked_credential_is_told_once_and_tried_each_minute(
    bench: Bench, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(status), answer(status), answer(status))
    assert [60.0, 60.0, 60.0] == [bench.reporter.step() for _ in range(3)]
    assert ["/handshake", "/metrics", "/handshake", "/handshake"] == bench.network.paths()
    assert [1] == bench.waiting()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 1 == len(told)
    assert "it was revoked; to enrol again, remove" in told[0].message


def test_a_batch_that_is_too_large_is_halved_until_it_fits(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 9)
    bench.network.then(answer(413), answer(413), accepted(), accepted())
    assert [0.0] * 4 == [bench.reporter.step() for _ in range(4)]
    assert [[*range(1, 10)], [1, 2, 3, 4], [1, 2], [3, 4]] == [bench.sent(index) for index in (1, 2, 3, 4)]


def test_a_single_sample_that_is_too_large_is_dropped(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(413))
    assert 0.0 == bench.reporter.step()
    assert [] == bench.waiting()
    assert 1 == bench.reporter.dropped


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_request_is_dropped_and_counted(bench: Bench, status: int, caplog: pytest.LogCaptureFixture) -> None:
    bench.connect()
    bench.take_samples(1, 3)
    bench.network.then(answer(status, {"code": "invalid", "detail": "no"}), accepted())
    bench.reporter.step()
    assert [] == bench.waiting()
    assert 3 == bench.reporter.dropped
    assert f"3 samples dropped, the server will not take them: HTTP {status}: invalid: no" in caplog.messages
    bench.take_samples(4, 4)
    bench.reporter.step()
    assert [4] == bench.sent()


def test_rejected_samples_are_not_sent_again_and_their_reasons_told_once_a_minute(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.connect()
    for seq in (1, 2, 3):
        bench.take_samples(seq, seq)
        bench.network.then(accepted({"index": 0, "code": "too_old", "message": "ts"}))
        bench.reporter.step()
        bench.now_s += 59.0
    assert [] == bench.waiting()
    assert 3 == bench.reporter.dropped
    assert [
        "the server rejected 1 samples: too_old: ts",
        "the server rejected 2 samples: too_old: ts",
    ] == [line for line in caplog.messages if "rejected" in line]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_facts_that_the_server_will_not_take_do_not_hold_up_the_samples(bench: Bench, status: int) -> None:
    bench.take_samples(1, 1)
    bench.network.then(answer(status), accepted())
    assert [0.0, 0.0] == [bench.reporter.step() for _ in range(2)]
    assert [] == bench.waiting()


def test_a_changed_machine_shakes_hands_again_within_ten_minutes(bench: Bench) -> None:
    bench.connect()
    bench.os["name"] = "Debian, upgraded"
    bench.now_s += 599.0
    assert None is bench.reporter.step()
    bench.now_s += 1.0
    bench.network.then(greeted())
    assert 0.0 == bench.reporter.step()
    assert {"name": "Debian, upgraded"} == bench.network.body()["os"]
    bench.now_s += 600.0
    assert None is bench.reporter.step()


def test_an_unchanged_machine_is_looked_at_once_in_ten_minutes(bench: Bench) -> None:
    bench.connect()
    bench.now_s += 600.0
    assert [None, None, None] == [bench.reporter.step() for _ in range(3)]
    assert 2 == bench.os_reads


def test_an_outage_and_its_end_are_one_line_each(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.connect()
    bench.take_samples(1, 13)
    bench.network.then(*[httpx.ConnectError("Connection refused")] * 9, greeted(), accepted())
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(11):
            bench.reporter.step()
            bench.now_s += 7.0
    assert [
        "cannot reach https://muster.example.org: Connection refused; samples are kept and sent later",
        "the server is back after 63 s, 13 samples to send",
    ] == caplog.messages


def test_leaving_sends_what_is_left_and_says_goodbye(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 700)
    bench.network.then(accepted(), accepted(), answer(204))
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/metrics", "/disconnect"] == bench.network.paths()
    assert [] == bench.waiting()


def test_leaving_does_not_insist_on_an_unreachable_server(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.connect()
    bench.take_samples(1, 3)
    bench.network.then(httpx.ConnectError("Connection refused"), httpx.ConnectError("Connection refused"))
    caplog.clear()
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/disconnect"] == bench.network.paths()
    assert [
        f"3 samples were not delivered: cannot reach {URL}: Connection refused",
        f"could not say goodbye: cannot reach {URL}: Connection refused",
    ] == caplog.messages


def test_a_server_that_takes_no_samples_still_hears_the_goodbye(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 3)
    bench.network.then(answer(429), answer(204))
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/disconnect"] == bench.network.paths()


def test_a_flush_ends_after_two_seconds_with_a_goodbye(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.connect()
    bench.take_samples(1, 10_000)
    bench.network.on_request = bench.pass_most_of_a_second
    bench.network.then(accepted(), accepted(), accepted(), answer(204))
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/metrics", "/metrics", "/disconnect"] == bench.network.paths()
    assert "8500 samples were not delivered in time" in caplog.messages


def test_a_machine_that_never_enrolled_leaves_without_a_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path, credential=None)
    bench.take_samples(1, 1)
    bench.reporter.finish()
    assert [] == bench.network.paths()


def test_a_stopped_exchange_ends_the_run(bench: Bench) -> None:
    bench.exchange.stop()
    bench.network.then(answer(204))
    bench.reporter.run()
    assert ["/disconnect"] == bench.network.paths()
