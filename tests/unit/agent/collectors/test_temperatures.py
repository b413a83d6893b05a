"""Temperatures."""

from __future__ import annotations

import psutil
import pytest

from muster_agent.collectors.temperatures import read_temperatures, temperatures


def test_sensors_are_named_by_chip_and_label() -> None:
    chips = {"coretemp": [("Core 0", 45.04), ("Core 1", 46.0)], "nvme": [("", 38.0)]}
    expected = {"coretemp/Core 0": 45.0, "coretemp/Core 1": 46.0, "nvme": 38.0}
    assert {"temperatures": expected} == temperatures(lambda: chips)


def test_sensors_of_one_name_are_numbered() -> None:
    expected = {"nvme": 38.0, "nvme 2": 39.0, "nvme 3": 40.0}
    assert {"temperatures": expected} == temperatures(lambda: {"nvme": [("", 38.0), ("", 39.0), ("", 40.0)]})


def test_no_more_than_32_are_listed() -> None:
    listed = temperatures(lambda: {"chip": [(f"{number}", 1.0) for number in range(100)]})["temperatures"]
    assert isinstance(listed, dict)
    assert 32 == len(listed)


def test_a_system_that_psutil_knows_no_sensors_of_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(psutil, "sensors_temperatures", raising=False)
    assert {} == read_temperatures()
