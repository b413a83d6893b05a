"""The agent's packages are gathered once for each lock, for as many platforms as there are packages for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stack.install.agent import PLATFORMS, AgentPackages

# fails for the platform that its folder names
UV = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --target) target=$2 ;; esac
  shift
done
mkdir -p "$target" && : >"$target/package"
[ ! -e "fails-for-${target##*/}" ]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "requirements.lock").write_text("package==1\n")
    (tmp_path / "uv").write_text(UV)
    (tmp_path / "uv").chmod(0o755)
    return tmp_path


def gathered(checkout: Path) -> set[str]:
    return {path.parent.name for path in checkout.glob(".tools/agent-packages/*/package")}


def test_they_are_gathered_until_the_lock_changes(checkout: Path) -> None:
    packages = AgentPackages(checkout, os.environ)
    assert not packages.are_current()
    packages.gather(str(checkout / "uv"))
    assert (True, set(PLATFORMS)) == (packages.are_current(), gathered(checkout))
    (checkout / "agent" / "requirements.lock").write_text("package==2\n")
    assert not packages.are_current()


def test_a_platform_without_packages_is_named_left_out_and_tried_again(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "fails-for-win32-amd64").touch()
    packages = AgentPackages(checkout, os.environ)
    packages.gather(str(checkout / "uv"))
    assert (False, set(PLATFORMS) - {"win32-amd64"}) == (packages.are_current(), gathered(checkout))
    assert "There will be no agent for win32-amd64" in capsys.readouterr().out
