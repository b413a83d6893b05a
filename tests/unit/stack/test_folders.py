"""Private folders, files and secrets."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.folders import hold, hold_within, kept_secret, make_private, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    assert mode(make_private(tmp_path / "data")) == 0o700


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StackError, match="data is not a folder"):
        make_private(tmp_path / "data")


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(StackError, match="cannot write in the folder /proc/none"):
        make_private(Path("/proc/none"))


def test_a_written_file_is_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    write_private(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(file, "\udcff")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "secret")
    assert kept_secret(tmp_path / "secret") == first
    assert len(first) >= 43  # 256 bits in base64
    assert mode(tmp_path / "secret") == 0o600
    assert kept_secret(tmp_path / "another") != first


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    held = hold(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        hold(tmp_path / "lock")
    os.close(held)
    os.close(hold(tmp_path / "lock"))


def test_a_process_that_inherits_the_lock_holds_it_until_it_ends(tmp_path: Path) -> None:
    held = hold(tmp_path / "lock")
    heir = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held])
    os.close(held)
    with pytest.raises(BlockingIOError):
        hold(tmp_path / "lock")
    heir.kill()
    heir.communicate()
    os.close(hold(tmp_path / "lock"))


async def test_a_lock_is_waited_for_until_it_is_free(tmp_path: Path) -> None:
    held = hold(tmp_path / "lock")
    waiting = asyncio.create_task(hold_within(tmp_path / "lock", 10))
    await asyncio.sleep(0)
    os.close(held)
    os.close(await waiting)


async def test_waiting_for_a_lock_ends_with_the_patience_or_when_the_caller_gives_up(tmp_path: Path) -> None:
    held = hold(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        await hold_within(tmp_path / "lock", 0.0)
    with pytest.raises(BlockingIOError):
        await hold_within(tmp_path / "lock", 3600, lambda: True)
    os.close(held)
