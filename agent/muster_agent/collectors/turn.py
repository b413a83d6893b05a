"""When a collector has its turn, and for how long what it gave is of use. Pure: the time is passed in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from muster_agent.collectors.lane import Job

FIRST_BACKOFF_S = 10.0
LONGEST_BACKOFF_S = 600.0
# What a collector in the background may use of a core: where a reading costs more, it comes less often.
SHARE_OF_CORE = 0.001
# And the programs that it runs.
PROGRAMS_SHARE_OF_CORE = 0.005
# A grid of samples is not exact: what is due within this time is due.
TOLERANCE_S = 0.05


class Collector(Protocol):
    """Reads one aspect of the machine."""

    @property
    def name(self) -> str:
        """What is measured, as `--without` takes it and a log line says it."""

    def collect(self, now_s: float) -> Mapping[str, object]:
        """Give the fields that could be measured at `now_s` (monotonic clock); None stands for unknown.

        May raise anything: the fields are then left out of this sample. FileNotFoundError says that this machine has
        no such thing.
        """


@dataclass(frozen=True)
class Plan:
    """How often a collector is asked, and for how long.

    `make` gives a new one: the first, and another after one that hung, which may be anywhere in its work.
    A reading takes at most `limit_s`, and comes every `every_s` at most. What it gave is given again for `keep_s`
    where there is nothing newer. Samples do not wait for those in the background.
    """

    make: Callable[[], Collector]
    limit_s: float = 1.0
    every_s: float = 0.0
    keep_s: float = 0.0
    in_background: bool = False

    @property
    def name(self) -> str:
        """The name of the collector."""
        return self.make().name


class Turn:
    """The state of one plan: the reading under way if there is one, and what was read last."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.collector = plan.make()
        self.name = self.collector.name
        self._job: Job | None = None
        self._is_left = False
        self._due_s = -math.inf
        self._backoff_s = FIRST_BACKOFF_S
        self._every_s = plan.every_s
        self._fields: Mapping[str, object] = {}
        self._begun_s = self._read_s = -math.inf

    def is_due(self, now_s: float) -> bool:
        """Whether to begin a reading: never while there is one under way, even one that hangs."""
        return self._job is None and now_s >= self._due_s - TOLERANCE_S

    def begin(self, job: Job, now_s: float) -> None:
        """Note that this reading has begun."""
        self._job = job
        self._begun_s = now_s
        self._due_s = now_s + self._every_s

    def take(self, now_s: float) -> Job | None:
        """Take in what came of the reading. Gives it once: when it is over, or when it was left."""
        job = self._job
        if job is None:
            return None
        if job.is_left:
            return self._take_left(job, now_s)
        if not job.is_done:
            return None
        self._job = None
        self._backoff_s = FIRST_BACKOFF_S
        self._pace(job)
        if job.error is None:
            self._fields, self._read_s = job.fields, self._begun_s
        return job

    def fields(self, now_s: float) -> Mapping[str, object]:
        """Give what was read, while it is fresh."""
        keep_s = self.plan.keep_s + self._every_s if self.plan.keep_s else 0.0
        return self._fields if now_s - self._read_s <= keep_s else {}

    def _take_left(self, job: Job, now_s: float) -> Job | None:
        """Wait until a reading that hangs has ended, and then a while. What it gives is of an unknown time."""
        if self._is_left:
            if job.is_done:
                self._job, self._is_left = None, False
            return None
        self._is_left = True
        self.collector = self.plan.make()
        self._due_s = now_s + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)
        return job

    def _pace(self, job: Job) -> None:
        if self.plan.in_background:
            programs_every_s = job.programs_cpu_s / PROGRAMS_SHARE_OF_CORE
            self._every_s = max(self.plan.every_s, job.cpu_s / SHARE_OF_CORE, programs_every_s)
            self._due_s = self._begun_s + self._every_s
