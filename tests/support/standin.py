"""Starts stand-ins for services, and asks whether something answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from stack.program import Program
from tests.support.processes import RunningProgram


def running_standin(name: str, port: int, log: Path, environment: dict[str, str] | None = None) -> RunningProgram:
    """Describe a stand-in for a test to start."""
    program = standin(name, port, log, environment)
    return RunningProgram(program, answers(f"http://127.0.0.1:{port}/"))


def standin(name: str, port: int, log: Path, environment: dict[str, str] | None = None) -> Program:
    """Describe a stand-in for a supervisor to start."""
    return Program(
        name=name,
        role=name,
        argv=(sys.executable, "-m", "tests.support.standin_server", name),
        environment={**os.environ, "HOST": "127.0.0.1", "PORT": str(port), **(environment or {})},
        log=log,
        url=f"http://127.0.0.1:{port}",
    )


def answers(url: str) -> Callable[[], bool]:
    """Make a check that is content with any answer below 500."""

    def check() -> bool:
        try:
            return httpx.get(url, trust_env=False).status_code < httpx.codes.INTERNAL_SERVER_ERROR
        except httpx.HTTPError:
            return False

    return check
