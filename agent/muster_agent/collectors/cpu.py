"""Processor use, of all cores together and of each, and load averages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import psutil

from muster_agent.rates import busy_percent

# Linux counts the time of guests in `user` and `nice` as well.
COUNTED_TWICE = frozenset({"guest", "guest_nice"})
IDLE = frozenset({"idle", "iowait"})


Times = Mapping[str, float]


def read_core_times() -> list[Times]:
    """Give for each core the seconds that it spent in each state, no time counted twice."""
    return [
        {state: float(seconds) for state, seconds in core._asdict().items() if state not in COUNTED_TWICE}
        for core in psutil.cpu_times(percpu=True)
    ]


class CpuCollector:
    """`cpu_percent` over all cores since the collection before, `cpu_cores` of each; `load1`, `load5`, `load15`."""

    name = "cpu"

    def __init__(
        self,
        read_times: Callable[[], Sequence[Times]] = read_core_times,
        read_load: Callable[[], tuple[float, float, float]] = psutil.getloadavg,
    ) -> None:
        self._read_times = read_times
        self._read_load = read_load
        self._before: Sequence[Times] = ()

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields; the first collection has no shares, nor has one after a core came or went."""
        del now_s  # the processor's own times say how long it was
        load1, load5, load15 = self._read_load()
        before, self._before = self._before, self._read_times()
        pairs = list(zip(before, self._before)) if len(before) == len(self._before) else []
        return {
            "cpu_percent": _rounded(busy_percent(_total(before), _total(self._before), IDLE), 2) if pairs else None,
            "cpu_cores": [_rounded(busy_percent(*pair, IDLE), 1) or 0.0 for pair in pairs] or None,
            "load1": round(load1, 2),
            "load5": round(load5, 2),
            "load15": round(load15, 2),
        }


def _total(cores: Sequence[Times]) -> Times:
    total: dict[str, float] = {}
    for core in cores:
        for state, seconds in core.items():
            total[state] = total.get(state, 0.0) + seconds
    return total


def _rounded(percent: float | None, digits: int) -> float | None:
    return None if percent is None else round(percent, digits)
