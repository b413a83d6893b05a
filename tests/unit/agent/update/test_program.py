"""An agent knows which build it is, and gives none of its own traces to another."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from muster_agent.update.program import ZIPAPP, Program, clean_environment, running_program


def test_an_agent_that_was_installed_as_a_package_is_no_build() -> None:
    assert None is running_program({})


def test_the_zipapp_is_run_by_the_python_that_runs_it() -> None:
    program = running_program({"MUSTER_AGENT_FILE": "/lib/agent"})
    assert Program(Path("/lib/agent"), ZIPAPP) == program
    assert [sys.executable, "/new", "--once"] == program.command(Path("/new"), ["--once"])


def test_the_one_that_needs_no_python_is_run_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    program = running_program({"MUSTER_AGENT_FILE": "/lib/agent"})
    assert program is not None
    assert (sys.platform, platform.machine().lower()) == program.platform
    assert ["/new", "--once"] == program.command(Path("/new"), ["--once"])


def test_another_build_is_not_told_where_the_files_of_this_one_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    environ = {
        "PATH": "/bin",
        "MUSTER_AGENT_FILE": "/own",
        "MUSTER_AGENT_STATE_DIR": "/state",
        "LD_LIBRARY_PATH": "/own/lib",
        "LD_LIBRARY_PATH_ORIG": "/usr/lib",
        "_PYI_ARCHIVE_FILE": "/own",
    }
    kept = clean_environment(environ, MORE="1")
    assert {"PATH", "MUSTER_AGENT_STATE_DIR", "LD_LIBRARY_PATH", "MORE"} == set(kept)
    assert "/usr/lib" == kept["LD_LIBRARY_PATH"]


def test_the_libraries_that_somebody_chose_for_the_python_of_the_agent_stay() -> None:
    assert {"LD_LIBRARY_PATH": "/opt/lib"} == clean_environment({"LD_LIBRARY_PATH": "/opt/lib"})
