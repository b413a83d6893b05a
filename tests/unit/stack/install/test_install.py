"""What the installation decides; that it installs is seen by `make up` on a fresh checkout."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.install import commands, interpreter, stamps
from stack.install.failure import InstallError
from stack.install.page import Page


def test_a_stamp_is_current_until_a_file_changes(tmp_path: Path) -> None:
    source, stamp = tmp_path / "requirements.lock", tmp_path / "stamp"
    source.write_text("a==1")
    stamp.write_text(stamps.fingerprint([source], "3.11"))
    assert stamps.is_current(stamp, stamps.fingerprint([source], "3.11"))
    assert not stamps.is_current(stamp, stamps.fingerprint([source], "3.12"))
    source.write_text("a==2")
    assert not stamps.is_current(stamp, stamps.fingerprint([source], "3.11"))


def test_no_stamp_is_not_current(tmp_path: Path) -> None:
    assert not stamps.is_current(tmp_path / "none", stamps.fingerprint([]))


def test_the_running_interpreter_is_used_when_it_is_new_enough() -> None:
    assert interpreter.find() == sys.executable


def test_without_a_python_that_is_new_enough_the_person_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "OLDEST", (99, 0))
    with pytest.raises(InstallError, match=r"Muster needs Python 99\.0 or newer, and finds only 3\."):
        interpreter.find()


def test_an_old_python_gets_the_message_not_a_syntax_error() -> None:
    folder = Path(interpreter.__file__).parent
    for file in folder.glob("*.py"):
        ast.parse(file.read_text(), str(file), feature_version=(3, 7))


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(InstallError, match=r"locking failed \(exit status 3\)"):
        commands.run("locking", [sys.executable, "-c", "raise SystemExit(3)"], Path("/"), {})
    with pytest.raises(InstallError, match="locking: "):
        commands.run("locking", ["/nowhere/uv"], Path("/"), {})


def test_somebody_without_a_home_gets_caches_in_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nonexistent"))
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.delenv("npm_config_cache", raising=False)
    variables = commands.environment(tmp_path / ".tools")
    assert variables["UV_CACHE_DIR"] == str(tmp_path / ".tools" / "cache" / "uv")
    assert variables["npm_config_cache"] == str(tmp_path / ".tools" / "cache" / "npm")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "UV_CACHE_DIR" not in commands.environment(tmp_path / ".tools")


def test_the_index_of_pip_is_the_index_of_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    assert commands.environment(tmp_path)["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://other.example/simple")
    assert commands.environment(tmp_path)["UV_DEFAULT_INDEX"] == "https://other.example/simple"


def test_what_is_made_from_the_page_is_no_source_of_it(tmp_path: Path) -> None:
    lock = ["package-lock.json", "package.json"]
    sources = ["clients/js/src/index.ts", *lock, "web/package.json", "web/src/main.tsx"]
    for name in (*sources, "clients/js/dist/index.js", "web/node_modules/a.js", "web/dist/index.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    page = Page(tmp_path)
    assert page.exists
    assert sorted(page._sources()) == [tmp_path / name for name in sources]


def test_the_help_of_the_makefile_names_every_target() -> None:
    checkout = Path(interpreter.__file__).parents[2]
    make = shutil.which("make")
    assert make
    shown = subprocess.run([make], cwd=checkout, check=True, capture_output=True, text=True).stdout
    for target in ("up", "test", "check", "unit", "format", "page", "lock", "clean"):
        assert f"make {target}" in shown
