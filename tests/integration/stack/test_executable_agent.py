"""The agent that needs no Python, made by PyInstaller, which takes half a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from muster_agent import __version__
from shared.io.agent_folder import offered
from stack.delivery.build import build_agents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is made on Linux only")


def run(file: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.defpath, "MUSTER_AGENT_CACHE": str(cache)}
    return subprocess.run([str(file), *arguments], env=environ, capture_output=True, text=True, check=False)


def test_it_runs_by_itself_unpacks_once_and_notices_damage(tmp_path: Path) -> None:
    said: list[str] = []
    build_agents(tmp_path / "agents", tmp_path / "key", ("executable",), said.append)
    (found,) = offered(tmp_path / "agents")
    assert f"needs glibc {found.build.glibc} or newer" in said[0]
    cache = tmp_path / "cache"
    for _ in range(2):
        assert f"muster-agent {__version__}\n" == run(found.path, cache, "--version").stdout
    assert 1 == len(list(cache.iterdir()))
    once = run(found.path, cache, "--once")
    assert (0, "") == (once.returncode, once.stderr)
    assert '"mem_total"' in once.stdout
    # half unpacked, as a crash leaves it
    (unpacked,) = cache.iterdir()
    (unpacked / ".whole").unlink()
    (unpacked / "muster-agent").unlink()
    assert f"muster-agent {__version__}\n" == run(found.path, cache, "--version").stdout
    cut = tmp_path / "cut"
    cut.write_bytes(found.path.read_bytes()[: found.build.size_bytes // 2])
    cut.chmod(0o755)
    refused = run(cut, tmp_path / "other", "--version")
    assert 1 == refused.returncode
    assert "is damaged" in refused.stderr
    assert [] == [path.name for path in (tmp_path / "other").iterdir()]
