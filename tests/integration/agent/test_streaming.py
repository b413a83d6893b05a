"""A whole agent, in this process, on the stream of a server that fails in the ways that servers and proxies do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_ingest import FakeIngest
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
