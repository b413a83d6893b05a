"""The zipapp holds the agent and what it needs on every platform, and is the same whenever it is made."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stack.delivery import zipapp
from stack.errors import StackError


@pytest.fixture
def gathered(tmp_path: Path) -> Path:
    for platform in ("linux-x86_64", "darwin-arm64"):
        for path, content in (
            ("library/__init__.py", "the same"),
            ("psutil/native.so", platform),
            ("psutil/tests/test_all.py", "tests"),
            ("library-1.dist-info/METADATA", "who made it"),
            ("library-1.dist-info/RECORD", platform),
        ):
            file = tmp_path / "gathered" / platform / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    (tmp_path / "gathered" / "darwin-arm64" / "only_here.py").write_text("other")
    return tmp_path / "gathered"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    folder = tmp_path / "muster_agent"
    folder.mkdir()
    (folder / "bootstrap.py").write_text("print('started')")
    return folder


def test_what_differs_between_platforms_is_kept_apart(gathered: Path, agent: Path, tmp_path: Path) -> None:
    zipapp.pack(tmp_path / "made", gathered, agent)
    with zipfile.ZipFile(tmp_path / "made") as archive:
        assert {
            "__main__.py",
            "lib/common/muster_agent/bootstrap.py",
            "lib/common/library/__init__.py",
            "lib/common/library-1.dist-info/METADATA",
            "lib/linux-x86_64/psutil/native.so",
            "lib/darwin-arm64/psutil/native.so",
            "lib/darwin-arm64/only_here.py",
        } == set(archive.namelist())


def test_the_same_sources_make_the_same_bytes(gathered: Path, agent: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        zipapp.pack(tmp_path / name, gathered, agent)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_without_packages_it_says_what_to_do(agent: Path, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make packages"):
        zipapp.pack(tmp_path / "made", tmp_path / "nothing", agent)


def test_the_real_one_measures_this_machine(tmp_path: Path) -> None:
    zipapp.pack(tmp_path / "agent")
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "agent"), "--once"],
        env={"PATH": os.defpath, "MUSTER_AGENT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert '"mem_total"' in done.stdout
