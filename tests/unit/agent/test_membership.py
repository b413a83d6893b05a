"""How this machine becomes known, and stays so."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from muster_agent.answers import Answer
from muster_agent.collectors.base import CollectorGroup
from muster_agent.credential import Credential, StateDirectory
from muster_agent.errors import ApprovalNeeded, EnrolmentRefused, StateError, Unavailable
from muster_agent.facts import Facts
from muster_agent.membership import Application, Membership
from muster_agent.transport import Transport
from tests.support.scripted_network import ScriptedNetwork, answer

URL = "https://muster.example.org"
CREDENTIAL = Credential("a_1", "hush", "s_1", "w_1", URL)
ENROLLED = {"agent_id": "a_1", "secret": "hush", "server_id": "s_1", "workspace_id": "w_1"}


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(tmp_path)
    directory.prepare()
    return directory


@pytest.fixture
def network() -> ScriptedNetwork:
    return ScriptedNetwork()


def member(
    state: StateDirectory,
    network: ScriptedNetwork,
    credential: Credential | None = None,
    name: str = "",
    agent_id: str = "",
) -> Membership:
    facts = Facts("boot-1", 5.0, CollectorGroup([]), CollectorGroup([]))
    return Membership(
        state, Transport(URL, network), Application("sesame", "vm", "m", name, agent_id), facts, credential
    )


def test_enrolling_keeps_the_credential(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(201, ENROLLED))
    membership = member(state, network)
    was_enrolled = membership.is_enrolled
    membership.enrol()
    assert (False, True) == (was_enrolled, membership.is_enrolled)
    assert CREDENTIAL == state.load_credential()
    assert {"token": "sesame", "hostname": "vm", "machine_id": "m"} == network.body()


def test_no_token_is_spent_where_the_credential_cannot_be_kept(tmp_path: Path, network: ScriptedNetwork) -> None:
    directory = tmp_path / "state"
    membership = member(StateDirectory(directory), network)
    directory.write_text("no directory", encoding="ascii")
    with pytest.raises(StateError, match="cannot write to the state directory"):
        membership.enrol()
    assert [] == network.paths()


def test_a_name_is_passed_on(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(201, ENROLLED))
    member(state, network, name="Ada's machine").enrol()
    assert "Ada's machine" == network.body()["name"]


def test_the_new_secret_authorises_what_follows(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(201, ENROLLED), answer(200, {"server_id": "s_1", "interval_s": 10}))
    membership = member(state, network)
    membership.enrol()
    assert 10.0 == membership.shake_hands(0.0).interval_s
    assert "Bearer hush" == network.requests[-1].headers["Authorization"]


def test_an_enrolment_whose_answer_was_lost_is_repeated_as_the_same_one(
    state: StateDirectory, network: ScriptedNetwork
) -> None:
    network.then(TimeoutError("timed out"), answer(201, ENROLLED))
    membership = member(state, network)
    with pytest.raises(Unavailable):
        membership.enrol()
    membership.enrol()
    first, second = (request.headers["Idempotency-Key"] for request in network.requests)
    assert first == second


def test_a_refused_enrolment_keeps_nothing(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(401, {"code": "unauthenticated"}))
    membership = member(state, network)
    with pytest.raises(EnrolmentRefused):
        membership.enrol()
    assert not membership.is_enrolled
    assert None is state.load_credential()


def test_neither_token_nor_secret_reach_the_log(
    state: StateDirectory, network: ScriptedNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    network.then(answer(201, ENROLLED), answer(200, {"server_id": "s_1"}))
    with caplog.at_level(logging.DEBUG):
        membership = member(state, network)
        membership.enrol()
        membership.shake_hands(0.0)
    assert "enrolled as s_1 (agent a_1)" in caplog.messages
    assert "hush" not in caplog.text
    assert "sesame" not in caplog.text


def test_another_secret_is_kept_before_it_authorises_what_follows(
    state: StateDirectory, network: ScriptedNetwork
) -> None:
    network.then(answer(200, {"secret": "other"}), answer(200, {"server_id": "s_1"}))
    membership = member(state, network, CREDENTIAL)
    assert membership.rotate()
    assert "Bearer hush" == network.requests[-1].headers["Authorization"]
    assert replace(CREDENTIAL, secret="other", previous_secret="hush") == state.load_credential()
    membership.shake_hands(0.0)
    assert "Bearer other" == network.requests[-1].headers["Authorization"]


def test_a_secret_that_the_server_does_not_know_gives_way_to_the_one_before(
    state: StateDirectory, network: ScriptedNetwork
) -> None:
    network.then(answer(200, {"secret": "newer"}))
    membership = member(state, network, CREDENTIAL)
    assert membership.rotate()
    assert replace(CREDENTIAL, secret="newer", previous_secret="hush") == state.load_credential()
    assert membership.fall_back()
    assert CREDENTIAL == state.load_credential()
    assert not membership.fall_back()


def test_a_secret_that_was_taken_leaves_no_other_one(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(200, {"secret": "newer"}))
    membership = member(state, network, CREDENTIAL)
    membership.rotate()
    membership.recognise("s_1")
    assert replace(CREDENTIAL, secret="newer") == state.load_credential()
    assert not membership.fall_back()


@pytest.mark.parametrize("failure", [TimeoutError("lost"), answer(503), answer(200, {}), answer(200, {"secret": ""})])
def test_a_secret_that_does_not_arrive_leaves_the_present_one(
    state: StateDirectory, network: ScriptedNetwork, failure: Answer | Exception
) -> None:
    state.save_credential(CREDENTIAL)
    network.then(failure, answer(200, {"server_id": "s_1"}))
    membership = member(state, network, CREDENTIAL)
    assert not membership.rotate()
    assert CREDENTIAL == state.load_credential()
    membership.shake_hands(0.0)
    assert "Bearer hush" == network.requests[-1].headers["Authorization"]


def test_a_secret_that_cannot_be_kept_is_not_used(
    state: StateDirectory, network: ScriptedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_credential: Credential) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(state, "save_credential", fail)
    network.then(answer(200, {"secret": "other"}), answer(200, {"server_id": "s_1"}))
    membership = member(state, network, CREDENTIAL)
    assert not membership.rotate()
    membership.shake_hands(0.0)
    assert "Bearer hush" == network.requests[-1].headers["Authorization"]


def test_a_machine_that_lost_its_secret_says_which_agent_it_is(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(409, {"code": "agent_exists"}), answer(201, ENROLLED))
    membership = member(state, network, agent_id="a_1")
    with pytest.raises(ApprovalNeeded):
        membership.enrol()
    membership.enrol()
    assert ["a_1", "a_1"] == [network.body(index)["agent_id"] for index in (0, 1)]
    assert CREDENTIAL == state.load_credential()


def test_what_a_handshake_shows_to_be_new_is_kept(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(200, {"server_id": "s_2"}))
    moved = Credential("a_1", "hush", "s_1", "w_1", "https://old.example.org")
    state.save_credential(moved)
    member(state, network, moved).shake_hands(0.0)
    assert Credential("a_1", "hush", "s_2", "w_1", URL) == state.load_credential()


def test_a_handshake_that_fails_keeps_what_was_known(state: StateDirectory, network: ScriptedNetwork) -> None:
    network.then(answer(503))
    moved = Credential("a_1", "hush", "s_1", "w_1", "https://old.example.org")
    state.save_credential(moved)
    with pytest.raises(Unavailable):
        member(state, network, moved).shake_hands(0.0)
    assert moved == state.load_credential()


def test_connecting_is_told_once(
    state: StateDirectory, network: ScriptedNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    network.then(answer(200, {"server_id": "s_1"}), answer(200, {"server_id": "s_1"}))
    membership = member(state, network, CREDENTIAL)
    with caplog.at_level(logging.INFO):
        membership.shake_hands(0.0)
        membership.shake_hands(0.0)
    assert [f"connected to {URL} as s_1"] == [line for line in caplog.messages if line.startswith("connected")]


def cannot_keep(*_: object) -> None:
    raise StateError("cannot write credential.json: Read-only file system")


def test_a_secret_goes_back_to_the_one_before_also_where_that_cannot_be_kept(
    state: StateDirectory, network: ScriptedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.then(answer(200, {"secret": "newer"}), answer(200, {"server_id": "s_1"}))
    membership = member(state, network, CREDENTIAL)
    membership.rotate()
    monkeypatch.setattr(state, "save_credential", cannot_keep)
    assert membership.fall_back()
    membership.shake_hands(0.0)
    assert "Bearer hush" == network.requests[-1].headers["Authorization"]


def test_what_the_server_calls_the_machine_may_be_lost(
    state: StateDirectory, network: ScriptedNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network.then(answer(200, {"server_id": "s_other"}))
    membership = member(state, network, CREDENTIAL)
    monkeypatch.setattr(state, "save_credential", cannot_keep)
    membership.shake_hands(0.0)
    assert "Read-only file system" in caplog.text
