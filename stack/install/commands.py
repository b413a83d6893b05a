"""Runs the programs that install things, with caches that the caller can write."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from stack.install.failure import InstallError


def environment(tools: Path) -> dict[str, str]:
    """Return the environment for package clients.

    A user without a home of their own gets caches below `tools`. uv does not read pip's variable for the index, and
    must not fetch a Python: the one that the person has is the one they want.
    """
    variables = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    # Node.js brings its own certificate authorities; those that the machine trusts count too
    variables.setdefault("NODE_USE_SYSTEM_CA", "1")
    if "PIP_INDEX_URL" in variables and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & variables.keys():
        variables["UV_DEFAULT_INDEX"] = variables["PIP_INDEX_URL"]
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.expanduser raises for a user without a home
    if not os.access(home, os.W_OK):
        for name, folder in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip"), ("npm_config_cache", "npm")):
            variables.setdefault(name, str(tools / "cache" / folder))
    return variables


def run(what: str, command: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Run a command that shows its own progress; raise `InstallError` saying what failed when it does."""
    try:
        done = subprocess.run(command, check=False, cwd=folder, env=variables)
    except OSError as error:
        raise InstallError(f"{what}: {error}") from error
    if done.returncode != 0:
        raise InstallError(f"{what} failed (exit status {done.returncode}); what it said is above")


def succeeds(command: list[str]) -> bool:
    """Tell whether a command runs and exits with 0, without showing what it says."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
