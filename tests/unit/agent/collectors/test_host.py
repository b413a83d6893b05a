"""Processes and uptime."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from muster_agent.collectors.host import processes_and_uptime


def test_uptime_agrees_with_the_time_of_the_last_start() -> None:
    uptime_s = processes_and_uptime()["uptime_s"]
    assert isinstance(uptime_s, int)
    assert abs(time.time() - psutil.boot_time() - uptime_s) < 5


def test_there_is_at_least_this_process() -> None:
    processes = processes_and_uptime()["processes"]
    assert isinstance(processes, int)
    assert processes >= 1


def test_processes_are_not_counted_where_those_of_others_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    assert None is processes_and_uptime(tmp_path)["processes"]


def test_a_containers_uptime_is_what_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("12.9 40.00\n")
    assert 12 == processes_and_uptime(tmp_path)["uptime_s"]
