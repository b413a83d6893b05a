"""How many processes run and how long the machine has been up."""

from __future__ import annotations

import time

import psutil


def processes_and_uptime() -> dict[str, object]:
    """Give `processes`, a count, and `uptime_s`, the seconds since the machine started, time asleep included."""
    return {"processes": len(psutil.pids()), "uptime_s": _uptime_s()}


def _uptime_s() -> int:
    # The kernel's own clock where there is one: the distance to a start time jumps when the clock is set.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))
    return max(0, int(time.time() - psutil.boot_time()))
