"""How collectors are put together, and how they fail."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from muster_agent.collectors.base import Collector, CollectorGroup, Plan, Reading, known

SOON_S = 0.05
DEADLINE_S = 10.0


class Hanging:
    """A collector that does not return before it is released."""

    name = "hanging"

    def __init__(self) -> None:
        self.released = threading.Event()
        self.ended = threading.Event()
        self.asked = 0

    def collect(self, now_s: float) -> Mapping[str, object]:
        self.asked += 1
        self.released.wait(DEADLINE_S)
        self.ended.set()
        return {"late": now_s}


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    collector = Hanging()
    yield collector
    collector.released.set()


def broken() -> Mapping[str, object]:
    raise OSError(5, "Input/output error")


def test_the_fields_of_all_collectors_come_together() -> None:
    group = CollectorGroup([Reading("one", lambda: {"a": 1}), Reading("two", lambda: {"b": 2})])
    assert {"a": 1, "b": 2} == group.collect(0.0)


def test_a_failure_costs_only_the_fields_of_its_collector() -> None:
    group = CollectorGroup(
        [Reading("one", lambda: {"a": 1}), Reading("disks", broken), Reading("two", lambda: {"b": 2})]
    )
    assert {"a": 1, "b": 2} == group.collect(0.0)


def test_a_failure_is_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    group = CollectorGroup([Reading("disks", broken)])
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            group.collect(0.0)
    assert ["cannot measure disks, leaving it out: OSError: [Errno 5] Input/output error"] == caplog.messages
    assert {"disks": 3} == group.failures


def test_a_collector_that_recovers_gives_its_fields_again() -> None:
    results = iter([None, {"a": 1}])

    def flaky() -> Mapping[str, object]:
        fields = next(results)
        if fields is None:
            raise RuntimeError("not yet")
        return fields

    group = CollectorGroup([Reading("flaky", flaky)])
    assert [{}, {"a": 1}] == [group.collect(0.0), group.collect(1.0)]


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, -math.inf, {}, [math.nan], {"x": {"y": None}}, -1, -0.5, 2**53, 1e16]
)
def test_what_is_unknown_or_not_finite_is_left_out(value: object) -> None:
    assert {"kept": 0} == known({"gone": value, "kept": 0})


def test_what_is_known_stays_as_it_is() -> None:
    fields = {"number": 0.0, "text": "", "list": [{"name": "/", "used": 0}], "map": {"cpu": 40.5}}
    assert fields == known(fields)


def test_only_the_unknown_parts_of_an_entry_are_left_out() -> None:
    assert {"interfaces": [{"name": "eth0"}]} == known({"interfaces": [{"name": "eth0", "rx_rate": math.inf}]})


def test_texts_are_made_safe_to_pass_on() -> None:
    mount = b"/mnt/\xff\x00\n".decode(errors="surrogateescape")
    assert {"disks": [{"mountpoint": "/mnt/???"}]} == known({"disks": [{"mountpoint": mount}]})
    assert {"temperatures": {"chip?": 40.0}} == known({"temperatures": {"chip\t": 40.0}})
    assert {"name": "x" * 200} == known({"name": "x" * 300})
    assert {"name": "Grüße, 世界"} == known({"name": "Grüße, 世界"})


def test_that_there_are_none_is_known() -> None:
    assert {"failed_units": []} == known({"failed_units": []})


def test_only_temperatures_may_be_below_zero() -> None:
    fields = {"temperatures": {"outside": -12.5}, "gpus": [{"temperature": -1}], "load1": 1.0}
    assert {"temperatures": {"outside": -12.5}, "gpus": [{"temperature": -1}], "load1": 1.0} == known(fields)
    assert {} == known({"temperatures": {"broken": -300.0}})


def test_lists_and_maps_are_cut() -> None:
    fields = known({"names": ["x"] * 1000, "cores": [1.0] * 1000, "temperatures": {f"{n}": 1.0 for n in range(1000)}})
    assert [32, 256, 32] == [len(value) for value in fields.values() if isinstance(value, (list, dict))]


def test_a_collector_that_hangs_costs_its_own_fields_and_its_limit_once(
    hanging: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    group = CollectorGroup([Plan(lambda: hanging, limit_s=SOON_S), Reading("two", lambda: {"b": 2})])
    assert {"b": 2} == group.collect(0.0)
    began_s = time.monotonic()
    for now_s in range(100, 10_000, 100):
        assert {"b": 2} == group.collect(float(now_s))
    assert time.monotonic() - began_s < DEADLINE_S / 2
    assert 1 == hanging.asked
    assert ["cannot measure hanging, leaving it out: it takes longer than 0.05 s"] == caplog.messages


def test_a_collector_that_hung_is_made_anew_after_a_while(hanging: Hanging) -> None:
    makes: Iterator[Collector] = iter(
        [hanging, Reading("hanging", lambda: {"a": 1}), Reading("hanging", lambda: {"a": 2})]
    )
    group = CollectorGroup([Plan(lambda: next(makes), limit_s=SOON_S)])
    group.collect(0.0)
    hanging.released.set()
    assert hanging.ended.wait(DEADLINE_S)
    # Its thread has yet to say that it is over.
    deadline_s = time.monotonic() + DEADLINE_S
    while group._turns[0]._job is not None and time.monotonic() < deadline_s:
        assert {} == group.collect(5.0)
    assert {} == group.collect(9.0)
    assert {"a": 1} == group.collect(10.0)


def test_a_sample_does_not_wait_for_what_is_measured_in_the_background(hanging: Hanging) -> None:
    plan = Plan(lambda: hanging, limit_s=DEADLINE_S, every_s=10, keep_s=20, in_background=True)
    group = CollectorGroup([plan, Reading("two", lambda: {"b": 2})])
    assert {"b": 2} == group.collect(0.0)
    hanging.released.set()
    group.wait_for_background()
    assert {"late": 0.0, "b": 2} == group.collect(5.0)


def test_one_in_the_background_that_hangs_does_not_hold_up_the_others(hanging: Hanging) -> None:
    def slowly(name: str, limit_s: float) -> Plan:
        reading = Reading(name, lambda: {name: 1})
        return Plan(lambda: reading, limit_s=limit_s, every_s=10, keep_s=20, in_background=True)

    plan = Plan(lambda: hanging, limit_s=SOON_S, every_s=10, keep_s=20, in_background=True)
    group = CollectorGroup([plan, slowly("smart", DEADLINE_S)])
    group.collect(0.0)
    group.wait_for_background()
    assert {"smart": 1} == group.collect(1.0)


def test_what_was_read_slowly_is_given_while_it_is_fresh() -> None:
    results = iter([{"a": 1}])
    reading = Reading("slow", lambda: next(results))
    group = CollectorGroup([Plan(lambda: reading, every_s=10, keep_s=10, in_background=True)])
    group.collect(0.0)
    group.wait_for_background()
    assert [{"a": 1}, {"a": 1}, {}] == [group.collect(now_s) for now_s in (5.0, 20.0, 20.5)]


def test_where_samples_are_far_apart_each_has_what_was_read_for_it() -> None:
    numbers = iter(range(100))
    reading = Reading("slow", lambda: {"a": next(numbers)})
    group = CollectorGroup([Plan(lambda: reading, every_s=10, keep_s=10, in_background=True)])
    group.collect(0.0)
    group.wait_for_background()
    assert [{"a": 1}, {"a": 2}] == [group.collect(now_s) for now_s in (3600.0, 7200.0)]


def test_what_this_machine_does_not_have_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def missing() -> Mapping[str, object]:
        raise FileNotFoundError("/proc/stat")

    group = CollectorGroup([Reading("cpu", missing)])
    assert {} == group.collect(0.0)
    assert ([], {}) == (caplog.messages, group.failures)


def test_each_cause_is_told_once_and_only_so_many(caplog: pytest.LogCaptureFixture) -> None:
    numbers = iter(range(1000))

    def always_another() -> Mapping[str, object]:
        raise ValueError(f"line {next(numbers) // 2}\nforged")

    group = CollectorGroup([Reading("odd", always_another)])
    for _ in range(100):
        group.collect(0.0)
    expected = [f"cannot measure odd, leaving it out: ValueError: line {number}?forged" for number in range(5)]
    assert expected == caplog.messages


def test_what_a_collector_takes_is_counted() -> None:
    group = CollectorGroup([Reading("one", lambda: {"a": 1})])
    group.collect(0.0)
    group.collect(1.0)
    assert 2 == group.costs["one"].readings
