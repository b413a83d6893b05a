"""Memory and swap."""

from __future__ import annotations

from pathlib import Path

import psutil

from muster_agent.collectors.kernel_files import text_of

ROOT = Path("/")


def memory(root: Path = ROOT) -> dict[str, object]:
    """Give `mem_used`, `mem_total`, `swap_used`, `swap_total` in bytes.

    Used is what is not available without swapping: caches do not count, as in free(1), nor does the one of ZFS, which
    the kernel does not know to be one. `root` is where the machine's files begin.
    """
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "mem_used": max(0, int(ram.total - ram.available) - zfs_cache_bytes(root)),
        "mem_total": int(ram.total),
        "swap_used": int(swap.used),
        "swap_total": int(swap.total),
    }


def zfs_cache_bytes(root: Path) -> int:
    """Give how much of its cache (ARC) ZFS would give back; 0 in a container that is shown a part of the memory."""
    statistics = root / "proc/spl/kstat/zfs/arcstats"
    if not statistics.exists() or " /proc/meminfo fuse.lxcfs " in text_of(root / "proc/self/mounts"):
        return 0
    # a line is name, type and value
    rows = [line.split() for line in text_of(statistics).splitlines()]
    values = {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[2].isdecimal()}  # noqa: PLR2004
    return max(0, values.get("size", 0) - values.get("c_min", 0))
