"""The C library's heap, told to give large blocks back.

glibc raises the size from which it maps a block by itself whenever such a block is freed, up to 32 MB; from then on
large blocks come from the heap, whose top is rarely free, and a process that makes and drops frames of many sizes
creeps upwards although nothing leaks. https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

import ctypes

LARGE_BYTES = 65_536

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def return_large_blocks(size_bytes: int = LARGE_BYTES) -> bool:
    """Let blocks of this size and more go back to the system when they are freed; False where there is no such way."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, size_bytes) and mallopt(_M_TRIM_THRESHOLD, 2 * size_bytes))
