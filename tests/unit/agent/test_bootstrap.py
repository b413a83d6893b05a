"""The zipapp unpacks what a machine needs, once, and notices when that is not whole any more."""

from __future__ import annotations

import os
import platform
import sys
import zipfile
from pathlib import Path

import pytest

from muster_agent import bootstrap
from muster_agent.bootstrap import CannotUnpack, cache_folder, unpack


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "agent.pyz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", "")
        file.writestr("lib/common/muster_agent/__init__.py", "version = 1")
        file.writestr(f"lib/{bootstrap.platform_name()}/psutil/native.so", "native")
        file.writestr("lib/vms-vax/psutil/native.so", "of another machine")
        file.writestr("lib/common/../../outside", "outside")
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"MUSTER_AGENT_CACHE": str(tmp_path / "cache")}


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


WANTED = {"muster_agent/__init__.py": "version = 1", "psutil/native.so": "native"}


def test_only_what_this_machine_needs_is_unpacked(archive: Path, environ: dict[str, str], tmp_path: Path) -> None:
    assert WANTED == contents(unpack(archive, environ))
    assert not (tmp_path / "outside").exists()


def test_it_is_unpacked_once(archive: Path, environ: dict[str, str]) -> None:
    first = unpack(archive, environ)
    (first / "muster_agent" / "bytecode.pyc").write_text("kept")
    assert first == unpack(archive, environ)
    assert (first / "muster_agent" / "bytecode.pyc").exists()


@pytest.mark.parametrize("damage", ["", "version = 2", "version = 1 and more"])
def test_what_is_damaged_is_unpacked_again(archive: Path, environ: dict[str, str], damage: str) -> None:
    folder = unpack(archive, environ)
    (folder / "muster_agent" / "__init__.py").write_text(damage)
    assert WANTED == contents(unpack(archive, environ))
    assert [folder] == list(folder.parent.iterdir())


def test_what_is_missing_is_unpacked_again(archive: Path, environ: dict[str, str]) -> None:
    folder = unpack(archive, environ)
    (folder / "psutil" / "native.so").unlink()
    assert WANTED == contents(unpack(archive, environ))


def test_what_others_can_write_to_is_not_run(archive: Path, environ: dict[str, str]) -> None:
    folder = unpack(archive, environ)
    folder.chmod(0o777)
    with pytest.raises(CannotUnpack, match=f"others can write to {folder}"):
        unpack(archive, environ)


def test_a_zip_that_is_damaged_is_told_in_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "agent.pyz").write_bytes(b"no zip")
    with pytest.raises(CannotUnpack, match=r"cannot unpack .*agent\.pyz"):
        unpack(tmp_path / "agent.pyz", environ)


def test_of_old_builds_two_are_kept(archive: Path, environ: dict[str, str]) -> None:
    own = unpack(archive, environ)
    for age in range(4):
        old = own.parent / f"muster-agent-{age}"
        old.mkdir()
        os.utime(old, (age, age))
    unpack(archive, environ)
    assert {own.name, "muster-agent-2", "muster-agent-3"} == {path.name for path in own.parent.iterdir()}


def test_the_state_directory_is_where_it_unpacks_unless_another_folder_is_named() -> None:
    environ = {"MUSTER_AGENT_STATE_DIR": "/state"}
    assert Path("/state/cache") == cache_folder(environ)
    assert Path("/cache") == cache_folder(environ | {"MUSTER_AGENT_CACHE": "/cache"})


def test_a_python_of_32_bits_gets_what_it_can_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "darwin-aarch64" == bootstrap.platform_name()
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert "darwin-armv7l" == bootstrap.platform_name()
