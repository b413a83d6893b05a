"""What the agent does next, and what each failure leads to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from muster_agent.answers import Answer
from muster_agent.backlog import Backlog
from muster_agent.backoff import Backoff
from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.channel import Channel
from muster_agent.collectors.base import CollectorGroup, Reading
from muster_agent.credential import Credential, StateDirectory
from muster_agent.delivery import Delivery
from muster_agent.errors import (
    CredentialRefused,
    Displaced,
    EnrolmentRefused,
    ReplicaLeaves,
    RequestRefused,
    StreamUnusable,
    Throttled,
    TooLarge,
    Unavailable,
)
from muster_agent.exchange import Exchange
from muster_agent.facts import Facts
from muster_agent.membership import Application, Membership
from muster_agent.pace import Pace
from muster_agent.posting import Posting
from muster_agent.reporter import Reporter
from muster_agent.stream import Stream
from muster_agent.transport import Transport
from muster_agent.wire import Waker, Wire
from tests.support.scripted_network import ScriptedNetwork, answer

URL = "https://muster.example.org"
CREDENTIAL = Credential("a_1", "hush", "s_1", "w_1", URL)
ENROLLED = {"agent_id": "a_1", "secret": "hush", "server_id": "s_1", "workspace_id": "w_1"}


def greeted(interval_s: float = 5.0) -> Answer:
    return answer(200, {"server_id": "s_1", "server_time": "2026-01-01T00:00:00Z", "interval_s": interval_s})


def accepted(*rejected: Mapping[str, object]) -> Answer:
    return answer(202, {"accepted": 1, "rejected": list(rejected)})


class ScriptedStream(Stream):
    """Does what a test wrote beforehand, each time it is to run."""

    def __init__(
        self,
        script: list[Callable[[Callable[[], None]], None]],
        membership: Membership,
        delivery: Delivery,
        pace: Pace,
    ) -> None:
        super().__init__(no_stream, membership, delivery, pace)
        self._script = script

    def run(self, answered: Callable[[], None]) -> bool:
        """Do the next thing of the script."""
        assert self._script, "nobody expected a stream"
        self._script.pop(0)(answered)
        return self._exchange.stopping


def no_stream(waker: Waker) -> Wire:
    raise AssertionError(f"nobody expected a stream, {waker}")


def ends_with(error: Exception, *, is_answered: bool = False) -> Callable[[Callable[[], None]], None]:
    """Give a stream that ends with an error, after an answer or before."""

    def run(answered: Callable[[], None]) -> None:
        if is_answered:
            answered()
        raise error

    return run


class Bench:
    """A reporter with all its parts, a network that answers by script, and a clock that only the test moves."""

    def __init__(self, state_dir: Path, credential: Credential | None = CREDENTIAL, transport: str = "http") -> None:
        self.now_s = 1000.0
        self.network = ScriptedNetwork()
        self.backlog = Backlog(None, SampleBuffer())
        self.exchange = Exchange(self.backlog, 5.0)
        self.streams: list[Callable[[Callable[[], None]], None]] = []
        self.os: dict[str, object] = {"name": "Debian"}
        self.os_reads = 0
        state = StateDirectory(state_dir)
        state.prepare()
        transport_ = Transport(URL, self.network)
        machine = CollectorGroup([Reading("the machine", self.read_os)])
        facts = Facts("boot-1", 5.0, machine, CollectorGroup([]))
        membership = Membership(state, transport_, Application("sesame", "vm", "m", ""), facts, credential)
        self.accepted = 0
        backoff = Backoff(lambda _low, high: high)
        self.delivery = Delivery(self.exchange, backoff, lambda: self.now_s, self.count_accepted)
        pace = Pace(lambda low, _high: low)
        posting = Posting(transport_, membership, self.delivery, pace)
        stream = ScriptedStream(self.streams, membership, self.delivery, pace)
        self.channel = Channel(transport)
        self.reporter = Reporter(membership, self.delivery, stream, posting, self.channel)

    def take_samples(self, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            self.exchange.add(Sample("boot-1", seq, b'{"seq":%d}' % seq))

    def read_os(self) -> Mapping[str, object]:
        self.os_reads += 1
        return self.os

    def connect(self) -> None:
        self.network.then(greeted())
        self.reporter.step()

    def count_accepted(self) -> None:
        self.accepted += 1

    def pass_most_of_a_second(self) -> None:
        self.now_s += 0.75

    def waiting(self) -> list[int]:
        live = [seq for _, seq in self.backlog._live]
        return sorted([sample.seq for sample in self.backlog._memory.oldest(10_000)] + live)

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
    bench.network.then(answer(401, {"code": "unauthenticated"}))
    with pytest.raises(EnrolmentRefused):
        bench.reporter.step()


def test_a_machine_that_lost_its_secret_asks_again_every_minute_until_somebody_approves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, credential=None)
    taken = answer(409, {"code": "agent_exists"})
    bench.network.then(taken, taken, answer(201, ENROLLED))
    with caplog.at_level(logging.INFO):
        assert [66.0, 66.0, 0.0] == [bench.reporter.step() for _ in range(3)]
    assert 1 == sum("has to approve" in line for line in caplog.messages)


def test_another_secret_is_taken_after_the_handshake_that_asks_for_it(bench: Bench) -> None:
    bench.take_samples(1, 1)
    bench.network.then(answer(200, {"server_id": "s_1", "rotate": True}), answer(200, {"secret": "other"}), accepted())
    assert [0.0, 0.0] == [bench.reporter.step() for _ in range(2)]
    assert ["/handshake", "/rotate", "/metrics"] == bench.network.paths()
    assert "Bearer other" == bench.network.requests[-1].headers["Authorization"]


def test_an_enrolment_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    bench = Bench(tmp_path, credential=None)
    bench.network.then(ConnectionRefusedError("refused"), answer(502), answer(201, ENROLLED))
    assert [1.0, 2.0, 0.0] == [bench.reporter.step() for _ in range(3)]


def test_the_servers_interval_is_taken(bench: Bench) -> None:
    bench.network.then(greeted(interval_s=30.0))
    bench.reporter.step()
    assert 30.0 == bench.exchange.interval_s


def test_new_samples_go_in_order_at_most_1000_a_request(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1200)
    bench.network.then(accepted(), accepted())
    assert [0.0, 0.0, None] == [bench.reporter.step() for _ in range(3)]
    assert [*range(1, 1001)] == bench.sent(1)
    assert [*range(1001, 1201)] == bench.sent(2)


@pytest.mark.parametrize(
    "failure", [ConnectionRefusedError("refused"), TimeoutError("slow"), answer(500), answer(503), answer(404)]
)
def test_an_outage_keeps_the_samples_and_ends_with_a_handshake(bench: Bench, failure: Answer | Exception) -> None:
    bench.connect()
    bench.take_samples(1, 2)
    bench.network.then(failure)
    assert 1.0 == bench.reporter.step()
    assert [1, 2] == bench.waiting()
    bench.take_samples(3, 3)
    bench.network.then(greeted(), accepted(), accepted())
    assert [0.0, 0.0, 0.0] == [bench.reporter.step() for _ in range(3)]
    assert ["/handshake", "/metrics", "/handshake", "/metrics", "/metrics"] == bench.network.paths()
    assert ([3], [1, 2]) == (bench.sent(3), bench.sent(4))
    assert [] == bench.waiting()


def test_waits_grow_until_something_is_delivered(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(503), greeted(), answer(503), greeted(), answer(503), greeted(), accepted())
    assert [1.0, 0.0, 2.0, 0.0, 4.0, 0.0, 0.0] == [bench.reporter.step() for _ in range(7)]
    bench.take_samples(2, 2)
    bench.network.then(answer(503))
    assert 1.0 == bench.reporter.step()


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
    assert [1.0, 0.0] == [bench.reporter.step() for _ in range(2)]
    assert ["/handshake", "/metrics", "/metrics"] == bench.network.paths()


@pytest.mark.parametrize("status", [401, 403])
def test_a_revoked_credential_is_told_once_and_tried_each_minute(
    bench: Bench, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(status), answer(status), answer(status))
    assert [66.0, 66.0, 66.0] == [bench.reporter.step() for _ in range(3)]
    assert ["/handshake", "/metrics", "/handshake", "/handshake"] == bench.network.paths()
    assert [1] == bench.waiting()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 1 == len(told)
    assert "credential was revoked; to enrol again, remove" in told[0].message


def test_an_agent_is_proved_by_samples_that_are_accepted_and_by_nothing_less(bench: Bench) -> None:
    bench.connect()
    counts = [bench.accepted]
    scripted = (accepted({"index": 0, "code": "too_old", "message": "ts"}), answer(422, {"code": "no"}), accepted())
    for seq, said in enumerate(scripted, 1):
        bench.take_samples(seq, seq)
        bench.network.then(said)
        bench.reporter.step()
        counts.append(bench.accepted)
    assert [0, 0, 0, 1] == counts


def test_a_batch_that_is_too_large_is_halved_until_it_fits(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 9)
    bench.network.then(answer(413), answer(413), accepted(), accepted())
    for _ in range(4):
        assert 0.0 == bench.reporter.step()
        bench.now_s += 1.0
    assert [[*range(1, 10)], [1, 2, 3, 4], [1, 2], [3, 4]] == [bench.sent(index) for index in (1, 2, 3, 4)]


def test_what_was_missed_follows_at_the_rate_of_the_server(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 25)
    bench.exchange.take_fresh(1000, 1_000_000)
    bench.exchange.lost()
    bench.network.then(accepted(), accepted())
    assert [0.0, None] == [bench.reporter.step() for _ in range(2)]
    assert [*range(1, 11)] == bench.sent()
    bench.now_s += 0.1
    assert [0.0, None] == [bench.reporter.step() for _ in range(2)]
    assert [*range(11, 26)] == bench.sent()


def test_a_late_sample_waits_for_the_new_one(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 2)
    bench.exchange.take_fresh(2, 1_000_000)
    bench.exchange.lost()
    bench.take_samples(3, 3)
    bench.network.then(accepted(), accepted())
    assert [0.0, 0.0] == [bench.reporter.step() for _ in range(2)]
    assert ([3], [1, 2]) == (bench.sent(1), bench.sent(2))


def test_a_request_of_late_samples_is_given_up_after_an_interval(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.exchange.take_fresh(1, 1_000_000)
    bench.exchange.lost()
    bench.network.then(accepted())
    bench.reporter.step()
    assert 5.0 == bench.network.requests[-1].timeout_s


def test_a_single_sample_that_is_too_large_is_dropped(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(413, {"code": "too_large"}))
    assert 0.0 == bench.reporter.step()
    assert [] == bench.waiting()
    assert 1 == bench.delivery.dropped


@pytest.mark.parametrize("status", [400, 413, 422])
def test_no_sample_is_given_up_for_what_somebody_on_the_way_answers(bench: Bench, status: int) -> None:
    bench.connect()
    bench.take_samples(1, 1)
    bench.network.then(answer(status), greeted(), accepted())
    assert [1.0, 0.0, 0.0] == [bench.reporter.step() for _ in range(3)]
    assert ([[1], [1]], 0) == ([bench.sent(index) for index in (1, 3)], bench.delivery.dropped)
    assert [] == bench.waiting()


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_request_is_dropped_and_counted(bench: Bench, status: int, caplog: pytest.LogCaptureFixture) -> None:
    bench.connect()
    bench.take_samples(1, 3)
    bench.network.then(answer(status, {"code": "invalid", "detail": "no"}), accepted())
    bench.reporter.step()
    assert [] == bench.waiting()
    assert 3 == bench.delivery.dropped
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
    assert 3 == bench.delivery.dropped
    assert [
        "the server rejected 1 samples: too_old: ts",
        "the server rejected 2 samples: too_old: ts",
    ] == [line for line in caplog.messages if "rejected" in line]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_facts_that_the_server_will_not_take_do_not_hold_up_the_samples(bench: Bench, status: int) -> None:
    bench.take_samples(1, 1)
    bench.network.then(answer(status, {"code": "invalid_inventory"}), accepted())
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
    bench.network.then(*[ConnectionRefusedError("Connection refused")] * 9, greeted(), accepted())
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(11):
            bench.reporter.step()
            bench.now_s += 7.0
    assert [
        "cannot reach https://muster.example.org: Connection refused; samples are kept and sent later",
        "the server is back after 63 s, 13 samples to send",
    ] == caplog.messages


def test_leaving_sends_what_is_new_and_says_goodbye(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 700)
    bench.network.then(accepted(), answer(204))
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/disconnect"] == bench.network.paths()
    assert [] == bench.waiting()


def test_leaving_does_not_insist_on_an_unreachable_server(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.connect()
    bench.take_samples(1, 3)
    bench.network.then(ConnectionRefusedError("Connection refused"), ConnectionRefusedError("Connection refused"))
    caplog.clear()
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/disconnect"] == bench.network.paths()
    assert [
        f"samples were not delivered: cannot reach {URL}: Connection refused",
        f"could not say goodbye: cannot reach {URL}: Connection refused",
    ] == caplog.messages


def test_a_server_that_takes_no_samples_still_hears_the_goodbye(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 3)
    bench.network.then(answer(429), answer(204))
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/disconnect"] == bench.network.paths()


def test_a_flush_ends_after_two_seconds_with_a_goodbye(bench: Bench) -> None:
    bench.connect()
    bench.take_samples(1, 10_000)
    bench.network.on_request = bench.pass_most_of_a_second
    bench.network.then(accepted(), accepted(), accepted(), answer(204))
    bench.reporter.finish()
    assert ["/handshake", "/metrics", "/metrics", "/metrics", "/disconnect"] == bench.network.paths()


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


@pytest.fixture
def streaming(tmp_path: Path) -> Bench:
    return Bench(tmp_path, transport="auto")


def test_a_stream_that_was_said_goodbye_over_needs_no_other_one(streaming: Bench) -> None:
    streaming.streams.append(lambda _answered: streaming.exchange.stop())
    streaming.reporter.run()
    assert [] == streaming.network.paths()


@pytest.mark.parametrize(
    ("error", "pause_s"),
    [
        (Unavailable("1006"), 1.0),
        (Unavailable("1013", 7.0), 7.7),
        (ReplicaLeaves("1012"), 1.0),
        (TooLarge("1009"), 1.0),
        (RequestRefused("4400"), 66.0),
        (CredentialRefused("4401"), 66.0),
        (Displaced("4409"), 66.0),
        (Throttled("4429", 20.0), 22.0),
    ],
)
def test_each_end_of_a_stream_has_its_pause(streaming: Bench, error: Exception, pause_s: float) -> None:
    streaming.streams.append(ends_with(error, is_answered=True))
    assert pause_s == streaming.reporter.step()
    assert [] == streaming.network.paths()


def test_a_replica_that_leaves_never_makes_the_agent_wait_longer(streaming: Bench) -> None:
    streaming.streams += [ends_with(ReplicaLeaves("1012"), is_answered=True)] * 5
    assert [1.0] * 5 == [streaming.reporter.step() for _ in range(5)]


def test_plain_requests_take_over_where_somebody_says_that_there_is_no_stream(streaming: Bench) -> None:
    streaming.take_samples(1, 1)
    streaming.streams.append(ends_with(StreamUnusable("404", is_certain=True)))
    streaming.network.then(greeted(), accepted())
    assert [0.0, 0.0, 0.0, None, None] == [streaming.reporter.step() for _ in range(5)]
    assert ["/handshake", "/metrics"] == streaming.network.paths()


def test_a_stream_that_breaks_is_tried_twice_before_plain_requests_take_over(streaming: Bench) -> None:
    streaming.streams += [ends_with(StreamUnusable("broke"))] * 2
    streaming.network.then(greeted(), greeted())
    assert [0.0, 0.0, None] == [streaming.reporter.step() for _ in range(3)]
    assert [0.0, 0.0, None, None] == [streaming.reporter.step() for _ in range(4)]


def test_the_stream_is_tried_again_after_ten_minutes(streaming: Bench) -> None:
    streaming.streams.append(ends_with(StreamUnusable("404", is_certain=True)))
    streaming.network.then(greeted())
    assert [0.0, 0.0, None] == [streaming.reporter.step() for _ in range(3)]
    streaming.now_s += 599.0
    assert None is streaming.reporter.step()
    streaming.now_s += 1.0
    streaming.streams.append(ends_with(Unavailable("1006"), is_answered=True))
    assert 1.0 == streaming.reporter.step()


def test_a_server_that_is_away_for_both_is_asked_for_a_stream_first(streaming: Bench) -> None:
    streaming.streams.append(ends_with(StreamUnusable("broke")))
    streaming.network.then(ConnectionRefusedError("refused"))
    assert [0.0, 1.0] == [streaming.reporter.step() for _ in range(2)]
    streaming.streams.append(ends_with(Unavailable("cannot connect")))
    assert 2.0 == streaming.reporter.step()


def test_a_stream_that_is_asked_for_alone_has_no_substitute(tmp_path: Path) -> None:
    bench = Bench(tmp_path, transport="stream")
    bench.streams.append(ends_with(StreamUnusable("404", is_certain=True)))
    assert 1.0 == bench.reporter.step()
    assert [] == bench.network.paths()
