"""Running programs."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from muster_agent.collectors.commands import CommandFailed, find, output_of


def test_what_a_program_prints_is_given() -> None:
    assert b"hello\n" == output_of([sys.executable, "-c", "print('hello')"])


def test_a_program_is_not_given_what_is_meant_for_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_ENROL_TOKEN", "sesame")
    command = [sys.executable, "-c", "import os, sys; print(sorted(os.environ)); print(sys.stdin.read())"]
    assert b"MUSTER" not in output_of(command)


def test_a_program_that_fails_is_told_with_what_it_printed() -> None:
    with pytest.raises(CommandFailed, match="ended with 3: no driver"):
        output_of([sys.executable, "-c", "print('no driver'); raise SystemExit(3)"])


def test_a_program_that_fails_is_told_with_its_complaint() -> None:
    show = "import sys; print('[]'); print('no bus', file=sys.stderr); raise SystemExit(1)"
    with pytest.raises(CommandFailed, match="ended with 1: no bus"):
        output_of([sys.executable, "-c", show])


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        output_of([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.5)


def test_a_program_heeds_the_signals_that_stop_the_service() -> None:
    show = "import signal; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        assert b"0\n" == output_of([sys.executable, "-c", show])
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_program_that_is_not_there_is_not_found() -> None:
    assert None is find("no-such-program-anywhere")


def test_a_program_is_given_the_machines_libraries_not_the_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/build/_internal")
    show = [sys.executable, "-c", "import os; print(os.environ.get('LD_LIBRARY_PATH'))"]
    assert b"None\n" == output_of(show)
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/opt/lib")
    assert b"/opt/lib\n" == output_of(show)


def test_an_agent_that_brings_no_libraries_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    assert b"/opt/lib\n" == output_of([sys.executable, "-c", "import os; print(os.environ['LD_LIBRARY_PATH'])"])
