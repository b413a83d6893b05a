"""Holds both OpenAPI documents against a whole installation: `python -m tests.acceptance.openapi.fuzz --examples 100`.

Schemathesis (https://schemathesis.readthedocs.io) makes requests that the documents allow and such that they forbid,
and looks at the answers with all of its checks.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.installation import EMAIL, PASSWORD, Installation, installed

UNHURRIED = {"AGENT_SAMPLES_PER_S": "1000000"}
"""The services' settings for it: one agent sends all that is made up here."""

HERE = Path(__file__).parent
SERVICES = ("ingest", "api")
"""In this order: the api may be made to delete the server of the agent, which is nobody to ingest then."""


async def environment_for(installation: Installation) -> dict[str, str]:
    """Return what `hooks.py` needs to know of an installation with an agent."""
    headers = {"Authorization": f"Bearer {await installation.token()}"}
    known = (await installation.client.get("/api/v1/me", headers=headers)).json()
    agent = await installation.enrol("fuzzed")
    return {
        "MUSTER_ORIGIN": str(installation.ready.services["api"][0].url),
        "MUSTER_EMAIL": EMAIL,
        "MUSTER_PASSWORD": PASSWORD,
        "MUSTER_WORKSPACE": known["workspaces"][0]["id"],
        "MUSTER_AGENT_SECRET": agent["secret"],
        "SCHEMATHESIS_HOOKS": "tests.acceptance.openapi.hooks",
        "PYTHONPATH": str(HERE.parents[2]),
    }


def fuzz(
    installation: Installation, service: str, environment: dict[str, str], arguments: Sequence[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis against a service, with these further arguments; what it writes goes into `folder`."""
    program = Path(sys.executable).parent / "schemathesis"
    document = f"{installation.ready.services[service][0].url}/{service}/openapi.json"
    command = [str(program), "--config-file", str(HERE / "schemathesis.toml"), "run", document]
    command += ["--checks", "all", "--continue-on-failure", "--output-truncate", "false", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


async def main(examples: int, seed: int | None) -> int:
    """Fuzz both services of an installation of its own; print what was found, and return the exit code."""
    arguments = ["--max-examples", str(examples), *(() if seed is None else ("--seed", str(seed)))]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        async with installed(Path(folder) / "muster", "--no-agent", environment=UNHURRIED) as installation:
            environment = await environment_for(installation)
            for service in SERVICES:
                done = await asyncio.to_thread(fuzz, installation, service, environment, arguments, Path(folder))
                print(done.stdout, done.stderr)
                failed = failed or done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="for each operation")
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.examples, given.seed)))
