"""How collectors are put together, and how they fail."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import pytest

from muster_agent.collectors.base import CollectorGroup, Reading, known


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


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, {}, [], [math.nan], {"x": {"y": None}}])
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
