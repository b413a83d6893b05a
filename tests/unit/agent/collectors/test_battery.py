"""The battery."""

from __future__ import annotations

import math
from types import SimpleNamespace

import psutil
import pytest

from muster_agent.collectors.battery import battery, read_battery


def given(percent: float, secsleft: float, *, power_plugged: bool | None) -> dict[str, object]:
    return battery(lambda: SimpleNamespace(percent=percent, secsleft=secsleft, power_plugged=power_plugged))


def test_a_battery_in_use_says_how_long_it_lasts() -> None:
    assert {"battery": {"percent": 41.2, "plugged": False, "left_s": 3600}} == given(41.23, 3600, power_plugged=False)


@pytest.mark.parametrize("left_s", [-1, -2, 10**12, math.nan])
def test_a_time_that_is_not_known_is_left_out(left_s: float) -> None:
    assert {"battery": {"percent": 100.0, "plugged": None, "left_s": None}} == given(104, left_s, power_plugged=None)


def test_a_machine_without_a_battery_has_no_field(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {} == battery(lambda: None)
    monkeypatch.delattr(psutil, "sensors_battery", raising=False)
    assert None is read_battery()
