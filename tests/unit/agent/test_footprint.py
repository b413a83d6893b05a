"""What the agent itself takes."""

from __future__ import annotations

from muster_agent import footprint
from muster_agent.collectors.base import Cost


def test_memory_processor_and_the_slowest_collectors_are_told() -> None:
    lines = footprint.measure(0.5, 0.1).splitlines()
    assert ["memory:", "processor:", "samples:"] == [line.split()[0] for line in lines[:3]]
    assert 5 == len(lines[3:])


def test_the_slowest_come_first() -> None:
    costs = {"fast": Cost(10, 0.01, 0.5), "slow": Cost(2, 0.1, 0.2)}
    expected = [
        "  slow: 50.00 ms of a core a reading, 2 readings, the longest took 200.0 ms",
        "  fast: 1.00 ms of a core a reading, 10 readings, the longest took 500.0 ms",
    ]
    assert expected == footprint.slowest(costs)
