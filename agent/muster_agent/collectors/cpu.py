"""Processor use and load averages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psutil

from muster_agent.rates import busy_percent

# Linux counts the time of guests in `user` and `nice` as well.
COUNTED_TWICE = frozenset({"guest", "guest_nice"})
IDLE = frozenset({"idle", "iowait"})


def read_cpu_times() -> dict[str, float]:
    """Give the seconds that all processors together spent in each state, no time counted twice."""
    times = psutil.cpu_times()._asdict()
    return {state: float(seconds) for state, seconds in times.items() if state not in COUNTED_TWICE}


class CpuCollector:
    """`cpu_percent` over all processors since the collection before; `load1`, `load5`, `load15`."""

    name = "processor use"

    def __init__(
        self,
        read_times: Callable[[], Mapping[str, float]] = read_cpu_times,
        read_load: Callable[[], tuple[float, float, float]] = psutil.getloadavg,
    ) -> None:
        self._read_times = read_times
        self._read_load = read_load
        self._before: Mapping[str, float] | None = None

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields; the first collection has no `cpu_percent`."""
        del now_s  # the processor's own times say how long it was
        load1, load5, load15 = self._read_load()
        before, self._before = self._before, self._read_times()
        busy = None if before is None else busy_percent(before, self._before, IDLE)
        return {
            "cpu_percent": None if busy is None else round(busy, 2),
            "load1": round(load1, 2),
            "load5": round(load5, 2),
            "load15": round(load15, 2),
        }
