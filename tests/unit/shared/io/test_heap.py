"""Large blocks go back to the system when they are freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from shared.io.heap import return_large_blocks

def resident_bytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "told":
    assert return_large_blocks()
bytes(20_000_000)  # from here on glibc takes blocks of this size from the heap, unless it was told not to
before = resident_bytes()
blocks = []
small_bytes = 3_000  # by its name, or Python makes one constant of the product, and nothing lies between
for _ in range(400):
    blocks.append(b"x" * 200_000)
    blocks.append(b"y" * small_bytes)  # small ones between the large, which stay
del blocks[::2]
print(resident_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_large_blocks_go_back_although_small_ones_lie_between() -> None:
    def kept(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert kept("told") < 10_000_000 < kept("untold")
