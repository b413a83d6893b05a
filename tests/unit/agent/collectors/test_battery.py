"""The battery."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from muster_agent.collectors.battery import battery, is_of_a_device, read_battery


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


@pytest.mark.parametrize(
    ("batteries", "is_others"),
    [
        ({"hidpp_battery_0": "Device\n"}, True),
        ({"BAT0": None, "hidpp_battery_0": "Device\n"}, False),
        ({"BAT0": "System\n"}, False),
        ({"AC": "Device"}, False),
        ({}, False),
    ],
)
def test_the_battery_of_a_mouse_is_not_the_machines(
    tmp_path: Path, batteries: dict[str, str | None], is_others: bool
) -> None:
    for name, scope in batteries.items():
        (tmp_path / name).mkdir()
        if scope:
            (tmp_path / name / "scope").write_text(scope)
    assert is_others == is_of_a_device(tmp_path)
