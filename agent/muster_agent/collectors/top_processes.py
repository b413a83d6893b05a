"""Which processes use the most of the processor and of the memory, by their names alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

PROCESSES = Path("/proc")
MOST_BY_EACH = 5
# Places in the line of proc_pid_stat(5) behind the name: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
USER_TIME, SYSTEM_TIME, START_TIME, RESIDENT_PAGES = 11, 12, 19, 21
# As much of the line as is needed, and more.
STAT_BYTES = 1024


@dataclass(frozen=True)
class ProcessUse:
    """What a process has used: seconds of a processor since `started`, and resident bytes now.

    `(pid, started)` tells it from a later process with the same number; `started` is in a unit of the system's own.
    """

    pid: int
    started: float
    name: str
    cpu_s: float
    mem_used: int


def read_processes(processes: Path = PROCESSES) -> Iterator[ProcessUse]:
    """Give all processes; on Linux from one file each, elsewhere those that psutil may look at."""
    if (processes / "self" / "stat").exists():
        return _from_kernel(processes)
    return _from_psutil()


class TopProcessCollector:
    """`top_processes`: the five that use most of the processor since the collection before, and most of the memory.

    An entry is `{pid, name, cpu_percent, mem_used}`, the busiest first; 100 percent are one core.
    """

    name = "top_processes"

    def __init__(self, read: Callable[[], Iterable[ProcessUse]] = read_processes) -> None:
        self._read = read
        self._before: dict[tuple[int, float], float] = {}
        self._before_s = 0.0

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the field; the first collection knows of the memory only."""
        found = list(self._read())
        elapsed_s, before = now_s - self._before_s, self._before
        used_s = {(each.pid, each.started): each.cpu_s for each in found}
        self._before, self._before_s = used_s, now_s
        # A process that is new has used all its time since; whoever went and came with the same number is new, too.
        spent_s = {key: max(0.0, cpu_s - before.get(key, 0.0)) for key, cpu_s in used_s.items()}
        is_first = not before or elapsed_s <= 0

        def spent(each: ProcessUse) -> float:
            return 0.0 if is_first else spent_s[each.pid, each.started]

        largest = sorted(found, key=lambda each: each.mem_used, reverse=True)[:MOST_BY_EACH]
        busiest = [each for each in sorted(found, key=spent, reverse=True)[:MOST_BY_EACH] if spent(each) > 0]
        chosen = {each.pid: each for each in (*busiest, *largest)}
        return {
            "top_processes": [
                {
                    "pid": each.pid,
                    "name": each.name,
                    "cpu_percent": None if is_first else round(100 * spent(each) / elapsed_s, 1),
                    "mem_used": each.mem_used,
                }
                for each in chosen.values()
            ]
            or None
        }


def _from_kernel(processes: Path) -> Iterator[ProcessUse]:
    tick_s, page_bytes = 1 / os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for entry in os.listdir(processes):  # noqa: PTH208 - names are enough
        if entry.isdigit():
            # It may have ended meanwhile, or not be for us to read.
            with contextlib.suppress(OSError, ValueError, IndexError):
                yield _from_stat(_read(f"{processes}/{entry}/stat"), tick_s, page_bytes)


def _from_stat(line: bytes, tick_s: float, page_bytes: int) -> ProcessUse:
    # A name can hold blanks and parentheses: it ends at the last one.
    head, _, rest = line.rpartition(b")")
    pid, _, name = head.partition(b" (")
    fields = rest.split()
    return ProcessUse(
        pid=int(pid),
        started=float(fields[START_TIME]),
        name=name.decode(errors="replace"),
        cpu_s=(int(fields[USER_TIME]) + int(fields[SYSTEM_TIME])) * tick_s,
        mem_used=int(fields[RESIDENT_PAGES]) * page_bytes,
    )


def _read(path: str) -> bytes:
    """Read the beginning of a file without what `open` does around it, which costs twice the reading."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, STAT_BYTES)
    finally:
        os.close(descriptor)


def _from_psutil() -> Iterator[ProcessUse]:
    for each in psutil.process_iter(["pid", "name", "cpu_times", "memory_info", "create_time"]):
        info = each.info
        times, memory = info["cpu_times"], info["memory_info"]
        # None where this user may not look.
        if times is None or memory is None:
            continue
        yield ProcessUse(
            pid=int(info["pid"]),
            started=float(info["create_time"] or 0.0),
            name=str(info["name"] or ""),
            cpu_s=float(times.user + times.system),
            mem_used=int(memory.rss),
        )
