"""The real muster-agent as a process of its own, to be stopped with and without a goodbye."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.installation import Installation

_STOPS_WITHIN_S = 10.0


@contextmanager
def running_agent(
    installation: Installation, state_dir: Path, *more: str, name: str, interval_s: float = 1
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the agent until the block ends, or until the test kills it; the same folder makes it the same agent."""
    token = (installation.data_dir / "agent-token").read_text().strip()
    command = [sys.executable, "-m", "muster_agent", "--server", installation.ready.url]
    command += ["--state-dir", str(state_dir), "--name", name, "--interval", str(interval_s), *more]
    with (installation.data_dir / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=os.environ | {"MUSTER_ENROL_TOKEN": token}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_STOPS_WITHIN_S)
