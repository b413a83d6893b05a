"""A whole agent, in this process, on the stream of a server that fails in the ways that servers and proxies do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muster_agent import conversation, segment_file
from muster_agent.spool import Spool
from tests.support.fake_ingest import FakeAnswer, FakeIngest
from tests.support.running_agent import RunningAgent


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIngest]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FakeIngest()
    server.terms["heartbeat_s"] = 0.5
    server.start()
    yield server
    server.release_answers()
    server.stop()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def agent(ingest: FakeIngest, state_dir: Path) -> Iterator[RunningAgent]:
    running = RunningAgent(ingest.url, state_dir, ingest.token, transport="auto")
    yield running
    running.stop()


def test_a_new_machine_enrols_and_reports_over_one_stream(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 3)
    assert agent.stop()
    assert ["/ingest/v1/enroll", "handshake", "metrics"] == ingest.requests[:3]
    assert "goodbye" == ingest.requests[-1]
    assert [1] == [len(ingest.streams)]
    assert "muster.agent.v1" == ingest.streams[0].subprotocol
    received = ingest.streams[0].received
    assert list(range(1, len(received) + 1)) == [message["seq"] for message in received]
    assert list(range(1, len(ingest.samples) + 1)) == ingest.sequence_numbers()


def test_samples_of_an_outage_follow_the_new_ones_in_order_and_once(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    ingest.stop()
    agent.wait_for_backlog(8)
    ingest.start()
    ingest.wait_until(lambda server: len(server.streams) == 2 and not server.missing())
    agent.stop()
    first, *late = [[each["seq"] for each in message["samples"]] for message in metrics(ingest, 1)]
    backfilled = [seq for batch in late for seq in batch if seq < first[0]]
    assert first[0] > 8
    assert sorted(backfilled) == backfilled
    assert 0 == ingest.duplicates()


def test_what_was_under_way_when_the_connection_broke_is_sent_again(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    ingest.hold_answers()
    agent.wait_for_backlog(3)
    ingest.stop()
    ingest.start()
    ingest.wait_until(lambda server: len(server.streams) == 2 and len(server.samples) >= 6 and not server.missing())


@pytest.mark.usefixtures("agent")
def test_a_connection_that_is_half_open_is_left_within_two_intervals_or_a_heartbeat(
    ingest: FakeIngest,
) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    ingest.go_silent()
    ingest.wait_until(lambda server: len(server.streams) == 2 and not server.missing())
    unanswered = [each["seq"] for message in metrics(ingest, 0) for each in message["samples"]]
    # Half a second at ten samples a second, and the instants of a machine that is busy.
    assert len(unanswered) <= 8 + ingest.terms["window"]
    assert ingest.messages("handshake")


def test_no_more_messages_wait_for_an_answer_than_the_server_allows(ingest: FakeIngest, state_dir: Path) -> None:
    ingest.terms |= {"window": 2, "heartbeat_s": 5.0}
    agent = RunningAgent(ingest.url, state_dir, ingest.token, transport="stream")
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    ingest.go_silent()
    taken = len(ingest.samples)
    agent.wait_for_backlog(6)
    assert len(metrics(ingest, 0)) - taken <= 2
    agent.stop()


@pytest.mark.parametrize("status", [400, 403, 404, 426, 501])
def test_a_proxy_that_refuses_upgrades_leads_to_plain_requests(
    ingest: FakeIngest, state_dir: Path, status: int
) -> None:
    ingest.upgrade_refusal = FakeAnswer(status)
    agent = RunningAgent(ingest.url, state_dir, ingest.token, transport="auto")
    ingest.wait_until(lambda server: len(server.samples) >= 3 and not server.missing())
    assert agent.stop()
    assert 1 == ingest.upgrades
    assert "/ingest/v1/disconnect" == ingest.requests[-1]


def test_a_proxy_that_swallows_what_comes_over_a_stream_leads_to_plain_requests(
    ingest: FakeIngest, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "FIRST_ANSWER_S", 0.3)
    ingest.is_mute = True
    agent = RunningAgent(ingest.url, state_dir, ingest.token, transport="auto")
    ingest.wait_until(lambda server: len(server.samples) >= 3 and not server.missing())
    assert agent.stop()
    assert 2 == ingest.upgrades


def test_a_server_that_has_no_room_now_is_asked_for_a_stream_again(ingest: FakeIngest, state_dir: Path) -> None:
    ingest.upgrade_refusal = FakeAnswer(503, {"code": "draining"}, {"Retry-After": "0"})
    agent = RunningAgent(ingest.url, state_dir, ingest.token, transport="auto")
    ingest.wait_until(lambda server: server.upgrades >= 3)
    ingest.upgrade_refusal = None
    ingest.wait_until(lambda server: len(server.samples) >= 5 and not server.missing())
    agent.stop()
    assert "/ingest/v1/handshake" not in ingest.requests


def test_a_replica_that_goes_away_is_left_at_once(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    ingest.close_streams(1012)
    ingest.wait_until(lambda server: len(server.streams) == 2 and len(server.samples) >= 5 and not server.missing())
    assert agent.stop()


def test_samples_that_the_server_wants_later_come_later(ingest: FakeIngest, agent: RunningAgent) -> None:
    later = {"op": "error", "code": "unavailable", "message": "later", "retry_after_s": 0.2}
    ingest.script("metrics", FakeAnswer(503, later))
    ingest.wait_until(lambda server: len(server.samples) >= 4 and not server.missing())
    agent.stop()
    assert 1 == len(ingest.streams)


def test_a_message_that_the_server_will_never_take_is_dropped(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.script("metrics", FakeAnswer(422, {"op": "error", "code": "invalid", "message": "no"}))
    ingest.wait_until(lambda server: len(server.samples) >= 3)
    agent.stop()
    assert [1] == [seq for _, seq in ingest.missing()]


def test_another_interval_is_taken_while_connected(ingest: FakeIngest, state_dir: Path) -> None:
    ingest.interval_s = 3600.0
    agent = RunningAgent(ingest.url, state_dir, ingest.token, interval_s=60.0, transport="auto")
    # By then its answer to the handshake has come.
    ingest.wait_until(lambda server: "status" in server.requests)
    ingest.reconfigure(interval_s=0.1)
    ingest.wait_until(lambda server: len(server.samples) >= 5)
    agent.stop()
    assert 60.0 == ingest.handshakes[0]["interval_s"]


def test_an_agent_with_nothing_to_say_gives_a_sign_of_life(ingest: FakeIngest, state_dir: Path) -> None:
    ingest.interval_s = 3600.0
    ingest.terms["heartbeat_s"] = 0.1
    agent = RunningAgent(ingest.url, state_dir, ingest.token, transport="stream")
    ingest.wait_until(lambda server: server.requests.count("status") >= 3)
    assert agent.stop()
    assert {"op", "seq"} == ingest.messages("status")[0].keys()


def test_the_next_start_sends_what_the_last_one_left(ingest: FakeIngest, state_dir: Path) -> None:
    first = RunningAgent(ingest.url, state_dir, ingest.token, transport="auto")
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    ingest.stop()
    first.wait_for_backlog(5)
    first.stop()
    left = spooled(state_dir)
    ingest.start()
    second = RunningAgent(ingest.url, state_dir, "", transport="auto")
    ingest.wait_until(lambda server: left <= set(server.history) and not server.missing())
    second.stop()
    assert len(left) >= 5
    assert set() == spooled(state_dir)


def test_while_all_is_well_the_disk_is_left_alone(ingest: FakeIngest, agent: RunningAgent, state_dir: Path) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 10)
    assert ["lock"] == [path.name for path in (state_dir / "spool").iterdir()]
    agent.stop()
    assert ["lock"] == [path.name for path in (state_dir / "spool").iterdir()]


def test_a_directory_that_cannot_be_written_to_costs_no_sample(
    ingest: FakeIngest, state_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state_dir.mkdir()
    (state_dir / "spool").write_text("in the way")
    agent = RunningAgent(ingest.url, state_dir, ingest.token, transport="auto")
    outage(ingest, agent)
    agent.stop()
    assert 1 == sum("samples cannot be kept on disk" in line for line in caplog.messages)


def test_a_disk_that_is_full_costs_no_sample_and_one_line(
    ingest: FakeIngest, agent: RunningAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_room(_descriptor: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(segment_file, "_write", no_room)
    outage(ingest, agent)
    agent.stop()
    assert 1 == sum("samples cannot be kept on disk (No space left" in line for line in caplog.messages)


def outage(ingest: FakeIngest, agent: RunningAgent) -> None:
    """Let the server be away for a few samples, and wait until all of them have arrived."""
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    ingest.stop()
    agent.wait_for_backlog(5)
    ingest.start()
    ingest.wait_until(lambda server: len(server.streams) >= 2 and len(server.samples) >= 8 and not server.missing())


def metrics(ingest: FakeIngest, connection: int) -> list[dict[str, Any]]:
    """Give the messages with samples of one connection."""
    return [message for message in ingest.streams[connection].received if message["op"] == "metrics"]


def spooled(state_dir: Path) -> set[tuple[str, int]]:
    """Give the samples that are on disk."""
    with closing(Spool(state_dir / "spool", 100_000)) as spool:
        return {sample.identity for sample in spool.oldest(100_000, 100_000_000)}
