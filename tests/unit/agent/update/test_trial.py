"""Only a build that says that it was heard passes its trial, and none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from muster_agent.update import trial

REPORT = "from muster_agent.update import trial; trial.say_reported()"
SLEEP = "import time; time.sleep(600)"


def tried(code: str, limit_s: float, tmp_path: Path) -> tuple[bool, int]:
    """Try a build that runs this code; tell whether it passed, and its process id."""
    pid_file = tmp_path / "pid"
    noted = f"import os, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); {code}"
    passed = trial.reports_within([sys.executable, "-c", noted], os.environ, limit_s, lambda: False)
    return passed, int(pid_file.read_text(encoding="ascii"))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("code", "limit_s", "expected"),
    [
        (f"{REPORT}; {SLEEP}", 30, True),
        ("raise SystemExit(0)", 30, False),
        ("print('the server has heard me')", 30, False),
        (SLEEP, 2, False),
        (f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}", 2, False),
    ],
)
def test_a_build_passes_when_it_reports_and_ends_either_way(
    code: str, limit_s: float, expected: bool, tmp_path: Path
) -> None:
    passed, pid = tried(code, limit_s, tmp_path)
    assert (expected, False) == (passed, is_alive(pid))


def test_a_build_that_cannot_be_started_does_not_pass() -> None:
    assert not trial.reports_within(["/nowhere/agent"], {}, 30, lambda: False)


def test_a_trial_ends_when_somebody_wants_the_agent_to_end() -> None:
    assert not trial.reports_within([sys.executable, "-c", SLEEP], os.environ, 600, lambda: True)


def test_a_build_knows_that_it_is_tried() -> None:
    code = f"import os\nfrom muster_agent.update import trial\nif trial.is_trial(os.environ): {REPORT}\n{SLEEP}"
    assert trial.reports_within([sys.executable, "-c", code], os.environ, 30, lambda: False)
    assert not trial.is_trial({})


def test_a_build_in_its_trial_ends_with_the_agent_that_tries_it() -> None:
    child = f"from muster_agent.update import trial; trial.end_with_parent(); trial.say_reported(); {SLEEP}"
    process = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert trial.REPORTED == process.stdout.readline()
        process.stdin.close()
        assert 1 == process.wait(30)


def test_a_whole_group_of_processes_ends_with_its_trial(tmp_path: Path) -> None:
    grandchild = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    code = f"{grandchild}; {REPORT}; {SLEEP}"
    passed, pid = tried(code, 30, tmp_path)
    assert passed
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.05)
    os.killpg(pid, signal.SIGKILL)
    pytest.fail("a process of the trial lives on")
