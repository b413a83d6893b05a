"""Measures what the agent itself takes: the real sampling loop, for a while, with nowhere to send the samples."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import psutil

from muster_agent.buffer import Sample
from muster_agent.collectors import catalogue
from muster_agent.collectors.base import Cost
from muster_agent.route import tls_context
from muster_agent.sampler import Sampler

GOAL_MB = 30
GOAL_PERCENT = 0.5
MOST_SHOWN = 5


@dataclass
class Sink:
    """Takes samples for `duration_s` and forgets them but for their number and size."""

    interval_s: float
    duration_s: float
    samples: int = 0
    size_bytes: int = 0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def stopping(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.began_s + self.duration_s

    def add(self, sample: Sample) -> int:
        """Count a sample."""
        self.samples += 1
        self.size_bytes += len(sample.encoded)
        return 0

    def wait_until(self, instant_s: float, interval_s: float) -> bool:
        """Block until `instant_s`, or until the time is over."""
        del interval_s  # it never changes
        ends_s = self.began_s + self.duration_s
        # As the agent waits: threading's own timeout, not a sleep.
        threading.Event().wait(max(0.0, min(instant_s, ends_s) - time.monotonic()))
        return instant_s < ends_s


def measure(duration_s: float, interval_s: float, without: Collection[str] = ()) -> str:
    """Sample for `duration_s` and tell in a few lines what that took of memory and processor.

    Programs that collectors run are not resident; their processor time is told apart.
    """
    collectors = catalogue.sample_collectors(without)
    # The authorities that an agent trusts are part of what is resident; so are both transports, which `main` imports.
    trusted = tls_context()
    # What a start costs once is no share of a core.
    before, sink = os.times(), Sink(interval_s, duration_s)
    Sampler(collectors, "footprint").run(sink)
    after, took_s = os.times(), time.monotonic() - sink.began_s
    resident_bytes = int(psutil.Process().memory_info().rss)
    del trusted
    own_s = after.user + after.system - before.user - before.system
    programs_s = after.children_user + after.children_system - before.children_user - before.children_system
    own, programs = 100 * own_s / took_s, 100 * programs_s / took_s
    size_bytes = sink.size_bytes / max(1, sink.samples)
    lines = [
        f"memory: {resident_bytes / 1e6:.1f} MB resident; the goal is {GOAL_MB}",
        f"processor: {own:.3f} % of a core, {programs:.3f} % by programs it ran; the goal is {GOAL_PERCENT} at 5 s",
        f"samples: {sink.samples} in {took_s:.0f} s, one every {interval_s:g} s, {size_bytes:.0f} bytes each",
    ]
    return "\n".join([*lines, *slowest(collectors.costs)])


def slowest(costs: Mapping[str, Cost]) -> list[str]:
    """Give a line for each of the collectors that took most of the processor, the first one first."""
    ordered = sorted(costs.items(), key=lambda each: each[1].cpu_s, reverse=True)
    return [
        f"  {name}: {1e3 * cost.cpu_s / cost.readings:.2f} ms of a core a reading, {cost.readings} readings, "
        f"the longest took {1e3 * cost.longest_s:.1f} ms"
        for name, cost in ordered[:MOST_SHOWN]
    ]
