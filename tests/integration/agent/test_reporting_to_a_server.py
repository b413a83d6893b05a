"""A whole agent, in this process, and a server that fails in the ways that servers do."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_ingest import FakeAnswer, FakeIngest
from tests.support.running_agent import RunningAgent

INTERVAL_S = 0.1
DEADLINE_S = 10.0

REQUIRED = {
    *("ts", "boot_id", "seq", "cpu_percent", "load1", "load5", "load15", "mem_used", "mem_total", "swap_used"),
    *("swap_total", "disk_used", "disk_total", "processes", "uptime_s"),
}


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIngest]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FakeIngest()
    server.start()
    yield server
    server.release_answers()
    server.stop()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def agent(ingest: FakeIngest, state_dir: Path) -> Iterator[RunningAgent]:
    running = RunningAgent(ingest.url, state_dir, ingest.token)
    yield running
    running.stop()


def test_a_new_machine_enrols_introduces_itself_and_reports(
    ingest: FakeIngest, agent: RunningAgent, state_dir: Path
) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 3)
    assert agent.stop()
    assert ["/ingest/v1/enroll", "/ingest/v1/handshake", "/ingest/v1/metrics"] == ingest.requests[:3]
    assert "/ingest/v1/disconnect" == ingest.requests[-1]
    assert "Ada's machine" == ingest.enrolments[0]["name"]
    handshake = ingest.handshakes[0]
    assert {"ts", "boot_id", "agent_version", "interval_s", "os", "inventory"} == handshake.keys()
    assert {handshake["boot_id"]} == {sample["boot_id"] for sample in ingest.samples}
    assert list(range(1, len(ingest.samples) + 1)) == ingest.sequence_numbers()
    for sample in ingest.samples[1:]:
        assert set() == REQUIRED - sample.keys() - {"cpu_percent"}
    assert 0o600 == stat.S_IMODE((state_dir / "credential.json").stat().st_mode)


def test_the_next_start_needs_no_token_and_is_another_boot(
    ingest: FakeIngest, agent: RunningAgent, state_dir: Path
) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    agent.stop()
    again = RunningAgent(ingest.url, state_dir, token="")
    ingest.wait_until(lambda server: len(server.handshakes) == 2)
    again.stop()
    assert 1 == len(ingest.enrolments)
    first, second = (handshake["boot_id"] for handshake in ingest.handshakes)
    assert first != second


def test_samples_of_an_outage_arrive_afterwards_once(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    ingest.stop()
    agent.wait_for_backlog(5)
    ingest.start()
    ingest.wait_until(lambda server: server.largest_batch >= 4 and not server.missing())
    agent.stop()
    assert 0 == ingest.duplicates()
    assert 1 == ingest.most_at_once


def test_a_request_cut_before_its_answer_is_sent_again(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    ingest.hold_answers()
    requests = len(ingest.requests)
    ingest.wait_until(lambda server: len(server.requests) > requests)
    ingest.stop()
    ingest.start()
    ingest.wait_until(lambda server: len(server.handshakes) == 2 and len(server.samples) >= 3 and not server.missing())
    agent.stop()
    assert 0 == ingest.duplicates()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_server_gets_everything_later(ingest: FakeIngest, agent: RunningAgent, status: int) -> None:
    ingest.script("/metrics", FakeAnswer(status, {"code": "later"}, {"Retry-After": "0"}))
    ingest.wait_until(lambda server: len(server.samples) >= 3 and not server.missing())
    agent.stop()
    assert 0 == ingest.duplicates()


def test_the_servers_interval_wins_over_the_users(ingest: FakeIngest, state_dir: Path) -> None:
    ingest.interval_s = INTERVAL_S
    agent = RunningAgent(ingest.url, state_dir, ingest.token, interval_s=3600.0)
    ingest.wait_until(lambda server: len(server.samples) >= 3)
    agent.stop()
    assert 3600.0 == ingest.handshakes[0]["interval_s"]


def test_a_refused_token_ends_the_agent(ingest: FakeIngest, state_dir: Path) -> None:
    agent = RunningAgent(ingest.url, state_dir, token="wrong")
    assert False is agent.wait()
    assert ["/ingest/v1/enroll"] == ingest.requests


def test_sampling_goes_on_while_a_request_hangs(ingest: FakeIngest, agent: RunningAgent) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    ingest.hold_answers()
    agent.wait_for_backlog(5)
    ingest.release_answers()
    ingest.wait_until(lambda server: server.largest_batch >= 4)
    agent.stop()
    assert list(range(1, len(ingest.samples) + 1)) == ingest.sequence_numbers()
