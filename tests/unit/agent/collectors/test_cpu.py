"""Processor use."""

from __future__ import annotations

import psutil

from muster_agent.collectors.cpu import CpuCollector, read_core_times


def test_use_is_measured_from_one_collection_to_the_next() -> None:
    readings = iter([[{"user": 10.0, "idle": 90.0}], [{"user": 11.0, "idle": 93.0}], [{"user": 15.0, "idle": 93.0}]])
    collector = CpuCollector(lambda: next(readings), lambda: (0.256, 1.0, 2.0))
    assert [None, 25.0, 100.0] == [collector.collect(0.0)["cpu_percent"] for _ in range(3)]


def test_each_core_has_its_own_use() -> None:
    idle = {"user": 0.0, "idle": 0.0}
    readings = iter([[idle, idle], [{"user": 1.0, "idle": 3.0}, {"user": 4.0, "idle": 0.0}]])
    collector = CpuCollector(lambda: next(readings), lambda: (0.0, 0.0, 0.0))
    collector.collect(0.0)
    fields = collector.collect(5.0)
    assert (62.5, [25.0, 100.0]) == (fields["cpu_percent"], fields["cpu_cores"])


def test_a_core_that_goes_leaves_one_collection_without_use() -> None:
    core = {"user": 1.0, "idle": 1.0}
    later = {"user": 2.0, "idle": 2.0}
    readings = iter([[core, core], [core], [later]])
    collector = CpuCollector(lambda: next(readings), lambda: (0.0, 0.0, 0.0))
    assert [None, None, 50.0] == [collector.collect(0.0)["cpu_percent"] for _ in range(3)]


def test_loads_are_rounded() -> None:
    collector = CpuCollector(lambda: [{"user": 1.0}], lambda: (0.256, 1.0, 2.004))
    expected = {"cpu_percent": None, "cpu_cores": None, "load1": 0.26, "load5": 1.0, "load15": 2.0}
    assert expected == collector.collect(0.0)


def test_the_time_of_guests_is_not_counted_twice() -> None:
    states = read_core_times()[0]
    assert {"user", "system", "idle"} <= states.keys()
    assert states.keys() <= set(psutil.cpu_times()._fields) - {"guest", "guest_nice"}
