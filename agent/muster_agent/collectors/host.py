"""How many processes run and how long the machine has been up."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil

PROC = Path("/proc")


def processes_and_uptime(proc: Path = PROC) -> dict[str, object]:
    """Give `processes`, a count, and `uptime_s`, the seconds since the machine started, time asleep included.

    There is no count where this user does not see the processes of others.
    """
    # the first one is always there; hidepid hides it (proc(5))
    sees_all = (proc / "1").exists() or not (proc / "self").exists()
    return {"processes": len(psutil.pids()) if sees_all else None, "uptime_s": _uptime_s(proc / "uptime")}


def _uptime_s(kernels: Path) -> int:
    # As the kernel has it, and LXC for a container; the distance to a start time jumps when the clock is set.
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(float(kernels.read_text(encoding="ascii").split()[0]))
    if hasattr(time, "CLOCK_BOOTTIME"):
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))
    return max(0, int(time.time() - psutil.boot_time()))
