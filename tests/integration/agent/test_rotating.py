"""A whole agent, in this process, takes another secret when the server asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from muster_agent.credential import StateDirectory
from tests.support.fake_ingest import FakeAnswer, FakeIngest
from tests.support.running_agent import RunningAgent

OLD = "the-agents-secret"


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIngest]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FakeIngest()
    server.start()
    yield server
    server.stop()


def secret(state_dir: Path) -> str:
    credential = StateDirectory(state_dir).load_credential()
    assert credential is not None
    return credential.secret


@pytest.mark.parametrize("transport", ["http", "stream"])
def test_the_agent_takes_another_secret_and_never_says_goodbye(
    ingest: FakeIngest, tmp_path: Path, transport: str
) -> None:
    ingest.wants_rotation = True
    agent = RunningAgent(ingest.url, tmp_path, ingest.token, transport=transport)
    ingest.wait_until(lambda server: server.secret != OLD and len(server.samples) >= 3)
    assert 0 == ingest.goodbyes
    assert agent.stop()
    assert (1, ingest.secret) == (ingest.requests.count("/ingest/v1/rotate"), secret(tmp_path))
    assert ([], 0, 1) == (ingest.missing(), ingest.duplicates(), ingest.goodbyes)


def test_a_wish_in_the_middle_of_a_stream_is_heard(ingest: FakeIngest, tmp_path: Path) -> None:
    agent = RunningAgent(ingest.url, tmp_path, ingest.token, transport="stream")
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    ingest.streams[-1].send({"op": "config", "rotate": True})
    ingest.wait_until(lambda server: len(server.streams) == 2)
    taken = len(ingest.samples)
    ingest.wait_until(lambda server: server.secret != OLD and len(server.samples) > taken)
    assert agent.stop()
    assert ([], 0, 1) == (ingest.missing(), ingest.duplicates(), ingest.goodbyes)


@pytest.mark.parametrize("transport", ["http", "stream"])
def test_an_answer_that_was_lost_leaves_the_old_secret_until_the_next_handshake(
    ingest: FakeIngest, tmp_path: Path, transport: str
) -> None:
    ingest.wants_rotation = True
    ingest.script("/rotate", FakeAnswer(503))
    agent = RunningAgent(ingest.url, tmp_path, ingest.token, transport=transport)
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    assert OLD == ingest.secret == secret(tmp_path)
    assert agent.stop()
    again = RunningAgent(ingest.url, tmp_path, "", transport=transport)
    ingest.wait_until(lambda server: server.secret != OLD)
    assert again.stop()
    assert ingest.secret == secret(tmp_path)


def test_a_crash_before_the_first_use_leaves_a_secret_that_works(ingest: FakeIngest, tmp_path: Path) -> None:
    first = RunningAgent(ingest.url, tmp_path, ingest.token)
    ingest.wait_until(lambda server: len(server.samples) >= 1)
    assert first.stop()
    ingest.offered = "offered"
    file = StateDirectory(tmp_path).credential_path
    file.write_text(file.read_text().replace(OLD, "offered"))
    taken = len(ingest.samples)
    again = RunningAgent(ingest.url, tmp_path, "")
    ingest.wait_until(lambda server: server.secret == "offered" and len(server.samples) > taken)
    assert again.stop()
