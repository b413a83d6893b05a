"""What the launcher does to a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stack.launch import CAP_DAC_READ_SEARCH
from stack.program import Account, Program, plain_environment, run_to_end

NOBODY = Account(65_534, 65_534)
ENDS_WITHIN_S = 5.0

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

# Starts a program as the supervisor does, says which process it is, and waits.
SUPERVISOR = """
import subprocess, sys
from stack.program import Account, Program, plain_environment
account = Account(*map(int, sys.argv[1].split(":"))) if sys.argv[1] else None
program = Program(
    name="p", role="p", argv=("/bin/sleep", "60"), environment=plain_environment(), account=account
)
process = subprocess.Popen(program.command(), **program.spawn_options(subprocess.DEVNULL))
print(process.pid, flush=True)
input()
"""


def program(script: str, account: Account | None = None, death_signal: signal.Signals = signal.SIGKILL) -> Program:
    return Program(
        name="probe",
        role="probe",
        argv=("/bin/sh", "-c", script),
        environment=plain_environment(),
        account=account,
        death_signal=death_signal,
    )


def wait_for(process: psutil.Process, *names: str) -> None:
    """Wait until the launcher has become the program."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while process.name() not in names:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(process: psutil.Process) -> bool:
    """Tell whether it runs no more; a container's first process may leave its remains lying about."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("account", ["", pytest.param("65534:65534", marks=as_root)])
def test_a_program_ends_when_its_supervisor_is_killed(account: str) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, account], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    started = psutil.Process(int(supervisor.stdout.readline()))
    wait_for(started, "sleep")
    supervisor.kill()
    supervisor.communicate()
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not has_ended(started):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_program_whose_supervisor_is_gone_already_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = program("echo started")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert await run_to_end(orphan) == (1, "")


@as_root
async def test_a_program_that_is_not_root_reaches_what_is_below_folders_of_others(tmp_path: Path) -> None:
    for owner in (0, 4321):
        private = tmp_path / f"home-of-{owner}"
        private.mkdir(mode=0o700)
        (private / "secret").write_text("reached")
        (private / "secret").chmod(0o600)
        os.chown(private, owner, owner)
        assert await run_to_end(program(f"id -u; cat '{private}/secret'", NOBODY)) == (0, "65534\nreached")


@as_root
def test_a_program_that_is_not_root_keeps_one_capability_and_no_group() -> None:
    shown = program("grep -E '^(Cap(Prm|Eff|Amb)|Groups)' /proc/self/status", NOBODY)
    options = {**shown.spawn_options(subprocess.PIPE), "extra_groups": [4]}
    said = subprocess.run(shown.command(), check=True, text=True, **options).stdout
    expected = f"{1 << CAP_DAC_READ_SEARCH:016x}"
    found = {line.split(":")[0]: line.split(":")[1].strip() for line in said.splitlines()}
    assert found == {"Groups": "", "CapPrm": expected, "CapEff": expected, "CapAmb": expected}


@as_root
async def test_a_program_that_is_not_root_writes_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, _ = await run_to_end(program(f"echo x > '{tmp_path}/file'", NOBODY))
    assert status != 0
