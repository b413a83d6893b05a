"""Several collectors as one, and the rule that the failure of one, or its hanging, costs only its own fields."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from muster_agent.collectors.cleaning import LONGEST_LIST, LONGEST_TEXT, fitted, known, printable
from muster_agent.collectors.lane import Job, Lane
from muster_agent.collectors.turn import Collector, Plan, Turn

__all__ = ["LONGEST_LIST", "LONGEST_TEXT", "Collector", "CollectorGroup", "Cost", "Plan", "Reading"]
__all__ += ["fitted", "known", "printable"]

log = logging.getLogger(__name__)

# So many causes are told of one collector: messages that differ each time must not fill the log.
MOST_CAUSES = 5
# Collections further apart wait a little for the background: what they found at the next one would be old.
SPARSE_S = 10.0
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Reading:
    """A collector made of a function: for what needs no memory of the collection before."""

    name: str
    read: Callable[[], Mapping[str, object]]

    def collect(self, now_s: float) -> Mapping[str, object]:
        """Give what the function gives."""
        del now_s
        return self.read()


@dataclass
class Cost:
    """What the readings of one collector took: how many, processor time, and the longest by the clock."""

    readings: int = 0
    cpu_s: float = 0.0
    longest_s: float = 0.0


class CollectorGroup:
    """Several collectors as one, to be asked by one thread.

    `failures` counts, for each name, the readings that gave nothing; `costs` says what each name took so far.
    A collector without a plan is asked with each collection.
    """

    def __init__(self, collectors: Sequence[Collector | Plan]) -> None:
        self._turns = [Turn(_planned(each)) for each in collectors]
        self._waited_for = Lane("collecting")
        self._background = Lane("collecting slowly")
        self._collected_s = math.inf
        self._told: dict[str, set[str]] = {}
        self.failures: Counter[str] = Counter()
        self.costs: dict[str, Cost] = {}

    @property
    def names(self) -> list[str]:
        """The names of the collectors."""
        return [turn.name for turn in self._turns]

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields of all collectors, without those that are unknown or cannot be.

        Takes as long as those that are waited for, each up to its limit and then no more until it has ended.
        """
        for turn in self._turns:
            self._take(turn, now_s)
        due = [turn for turn in self._turns if turn.is_due(now_s)]
        self._background.add([_job(turn, now_s) for turn in due if turn.plan.in_background])
        self._waited_for.add([_job(turn, now_s) for turn in due if not turn.plan.in_background])
        self._waited_for.wait()
        is_sparse = now_s - self._collected_s > SPARSE_S
        self._collected_s = now_s
        self._background.wait(PATIENCE_S if is_sparse else 0.0)
        fields: dict[str, object] = {}
        for turn in self._turns:
            self._take(turn, now_s)
            fields.update(turn.fields(now_s))
        return fields

    def wait_for_background(self) -> None:
        """Block until those in the background are through, or over their limits."""
        self._background.wait()

    def _take(self, turn: Turn, now_s: float) -> None:
        job = turn.take(now_s)
        if job is None:
            return
        if job.is_left:
            self._note_failure(turn.name, f"it takes longer than {job.limit_s:g} s")
            return
        cost = self.costs.setdefault(turn.name, Cost())
        cost.readings += 1
        cost.cpu_s += job.cpu_s
        cost.longest_s = max(cost.longest_s, job.took_s)
        if isinstance(job.error, FileNotFoundError):
            log.debug("this machine has no %s: %s", turn.name, job.error)
        elif job.error is not None:
            self._note_failure(turn.name, f"{type(job.error).__name__}: {job.error}")

    def _note_failure(self, name: str, cause: str) -> None:
        self.failures[name] += 1
        told = self._told.setdefault(name, set())
        line = printable(cause)
        if line not in told and len(told) < MOST_CAUSES:
            told.add(line)
            log.warning("cannot measure %s, leaving it out: %s", name, line)


def _planned(collector: Collector | Plan) -> Plan:
    if isinstance(collector, Plan):
        return collector
    return Plan(lambda: collector)


def _job(turn: Turn, now_s: float) -> Job:
    collector = turn.collector
    job = Job(lambda: known(collector.collect(now_s)), turn.plan.limit_s)
    turn.begin(job, now_s)
    return job
