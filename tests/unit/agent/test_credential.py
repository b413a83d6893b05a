"""How the credential is kept."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from muster_agent.credential import Credential, StateDirectory
from muster_agent.errors import StateError

CREDENTIAL = Credential("a_1", "hush", "s_1", "w_1", "https://muster.example.org")


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(tmp_path / "deep" / "state")
    directory.prepare()
    return directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_saved_is_loaded(state: StateDirectory) -> None:
    state.save_credential(CREDENTIAL)
    assert CREDENTIAL == state.load_credential()


def test_a_machine_that_never_enrolled_has_no_credential(tmp_path: Path) -> None:
    assert None is StateDirectory(tmp_path / "missing").load_credential()


def test_only_the_owner_can_read(state: StateDirectory) -> None:
    previous = os.umask(0)
    try:
        state.save_credential(CREDENTIAL)
        another = StateDirectory(state.path / "another")
        another.prepare()
    finally:
        os.umask(previous)
    assert 0o600 == mode(state.credential_path)
    assert 0o700 == mode(another.path)


def test_saving_replaces_the_file_as_a_whole_and_leaves_nothing_else(state: StateDirectory) -> None:
    state.save_credential(CREDENTIAL)
    before = state.credential_path.stat().st_ino
    state.save_credential(Credential("a_2", "hush2", "s_2", "w_1", "https://muster.example.org"))
    assert before != state.credential_path.stat().st_ino
    assert ["credential.json"] == [path.name for path in state.path.iterdir()]


def test_a_save_that_fails_leaves_the_old_credential(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save_credential(CREDENTIAL)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StateError, match=r"cannot write .*credential\.json: No space left on device"):
        state.save_credential(Credential("a_2", "x", "s_2", "w_1", "https://muster.example.org"))
    assert CREDENTIAL == state.load_credential()
    assert ["credential.json"] == [path.name for path in state.path.iterdir()]


def test_a_credential_open_to_others_is_closed_with_a_warning(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    state.save_credential(CREDENTIAL)
    state.credential_path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert CREDENTIAL == state.load_credential()
    assert 0o600 == mode(state.credential_path)
    assert [f"{state.credential_path} could be read by others (mode 0644); it is now 0600"] == caplog.messages


def test_a_credential_that_stays_open_to_others_is_used_with_a_warning(
    state: StateDirectory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save_credential(CREDENTIAL)
    state.credential_path.chmod(0o644)

    def refuse(path: Path, _mode: int) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    assert CREDENTIAL == state.load_credential()
    expected = f"{state.credential_path} may be read by others, and cannot be made private: Read-only file system"
    assert [expected] == caplog.messages


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"agent_id":"a"}',
        '{"agent_id":"a","secret":"","server_id":"s","workspace_id":"w","server":"u"}',
        '{"agent_id":"a","secret":5,"server_id":"s","workspace_id":"w","server":"u"}',
        '{"agent_id":"a","secret":"é","server_id":"s","workspace_id":"w","server":"u"}',
    ],
)
def test_a_damaged_credential_says_what_to_do(state: StateDirectory, text: str) -> None:
    state.credential_path.write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match=r"credential\.json is damaged; remove it and start with a new"):
        state.load_credential()


def test_a_credential_that_is_not_even_text_says_which_file(state: StateDirectory) -> None:
    state.credential_path.write_bytes(b"\xff\xfe")
    with pytest.raises(StateError, match=r"cannot read .*credential\.json"):
        state.load_credential()


def test_a_directory_that_cannot_be_written_to_is_found_before_enrolling(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("", encoding="utf-8")
    with pytest.raises(StateError, match=r"cannot write to the state directory .*file"):
        StateDirectory(in_the_way).prepare()


def test_the_secret_does_not_show_in_what_is_logged() -> None:
    assert "hush" not in repr(CREDENTIAL)


def test_a_made_up_machine_id_stays_the_same(state: StateDirectory) -> None:
    first = state.random_machine_id()
    assert 32 == len(first)
    assert first == StateDirectory(state.path).random_machine_id()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_found_before_enrolling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Path("/dev/full").open("wb"))  # noqa: SIM115 - its caller closes it
    with pytest.raises(StateError, match="No space left"):
        StateDirectory(tmp_path).prepare()
