"""Processes and uptime."""

from __future__ import annotations

import time

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
