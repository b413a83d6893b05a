"""Runs `muster user` and `muster keys` on the installation that a data folder, or the environment, leads to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack import ready
from stack.errors import StackError
from stack.layout import DataFolder


def administer(arguments: Sequence[str], data_dir: Path, environ: Mapping[str, str]) -> int:
    """Run the api's own command with the terminal's input and output; return its exit status. Raises `StackError`."""
    # -P: what lies in the current folder must not be imported
    command = [sys.executable, "-P", "-m", "services.api.administration", *arguments]
    # it has no use for the passwords that may be set there
    environment = {name: value for name, value in environ.items() if not name.startswith("MUSTER_")}
    return subprocess.run(command, env={**environment, **servers(data_dir, environ)}, check=False).returncode


def servers(data_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return where the servers are, by variable: as the environment says, else those of the Muster in the folder."""
    if environ.get("DATABASE_URL"):
        return {name: environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
    found = ready.read(DataFolder(data_dir.absolute()).ready_file)
    if found is None:
        raise StackError(
            f"no Muster is ready in {data_dir}: start it with muster up, or set DATABASE_URL and REDIS_URL"
        )
    return {"DATABASE_URL": found.database_url, "REDIS_URL": found.redis_url}
