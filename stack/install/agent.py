"""Gathers the agent's packages for every platform, so that the agent for other machines can be packed at any time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stack.install.stamps import fingerprint, is_current

OLDEST_PYTHON = "3.9"

PLATFORMS: Mapping[str, str] = {
    "linux-x86_64": "x86_64-manylinux2014",
    "linux-aarch64": "aarch64-manylinux2014",
    "musllinux-x86_64": "x86_64-unknown-linux-musl",
    "musllinux-aarch64": "aarch64-unknown-linux-musl",
    "darwin-x86_64": "x86_64-apple-darwin",
    "darwin-arm64": "aarch64-apple-darwin",
    "win32-amd64": "x86_64-pc-windows-msvc",
}
"""What `muster_agent.bootstrap` calls a platform, and what uv calls it."""


class AgentPackages:
    """What `agent/requirements.lock` names, below `.tools/agent-packages`, a folder for each platform."""

    def __init__(self, checkout: Path, variables: Mapping[str, str]) -> None:
        self._lock = checkout / "agent" / "requirements.lock"
        self._folder = checkout / ".tools" / "agent-packages"
        self._checkout = checkout
        self._variables = variables

    def are_current(self) -> bool:
        """Tell whether all of it is there already."""
        return is_current(self._folder / ".muster-gathered", self._expected())

    def gather(self, uv: str) -> None:
        """Bring the folder to what the lock says; a platform whose packages are not to be had is named and left out."""
        print("Gathering the packages of agents for other machines", flush=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        missing = [name for name in PLATFORMS if not self._get(uv, name)]
        if missing:
            print(f"There will be no agent for {', '.join(missing)}: the packages are not to be had", flush=True)
        else:
            (self._folder / ".muster-gathered").write_text(self._expected(), encoding="ascii")

    def _get(self, uv: str, name: str) -> bool:
        target = self._folder / name
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(target), "--require-hashes"]
        command += ["--python-version", OLDEST_PYTHON, "--python-platform", PLATFORMS[name]]
        # copies: what is packed must not change with the cache
        command += ["--only-binary", ":all:", "--link-mode", "copy", "-r", str(self._lock)]
        done = subprocess.run(command, check=False, capture_output=True, cwd=self._checkout, env=dict(self._variables))
        if done.returncode != 0:
            shutil.rmtree(target, ignore_errors=True)
        return done.returncode == 0

    def _expected(self) -> str:
        return fingerprint([self._lock], *PLATFORMS.values())
