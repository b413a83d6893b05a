"""Memory and swap."""

from __future__ import annotations

import psutil


def memory() -> dict[str, object]:
    """Give `mem_used`, `mem_total`, `swap_used`, `swap_total` in bytes.

    Used is what is not available without swapping: caches do not count, as in free(1).
    """
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "mem_used": int(ram.total - ram.available),
        "mem_total": int(ram.total),
        "swap_used": int(swap.used),
        "swap_total": int(swap.total),
    }
