"""Graphics processors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from muster_agent.collectors.commands import CommandFailed
from muster_agent.collectors.gpus import gpus, nvidia_gpus

MIB = 1024**2
PRINTED = (
    "0, 37, 1024, 24576, 61, 118.25, NVIDIA GeForce RTX 4090, OC\n1, [N/A], [N/A], 100, [Not Supported], nan, Tesla\n"
)


def test_nvidias_cards_are_read_from_what_their_tool_prints() -> None:
    first, second = nvidia_gpus(PRINTED)
    assert {
        "index": 0,
        "name": "NVIDIA GeForce RTX 4090, OC",
        "percent": 37.0,
        "mem_used": 1024 * MIB,
        "mem_total": 24576 * MIB,
        "temperature": 61.0,
        "power_w": 118.25,
    } == first
    assert ("Tesla", None, 100 * MIB, None) == tuple(
        second[name] for name in ("name", "percent", "mem_total", "power_w")
    )


@pytest.mark.parametrize("printed", ["", "\n\n", "No devices were found\n", "a,b\n", ",,,,,,\n", "\x00"])
def test_whatever_else_the_tool_prints_is_passed_over(printed: str) -> None:
    assert [] == [each for each in nvidia_gpus(printed) if each["name"]]


def test_the_tool_is_asked_where_there_is_one(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], _timeout_s: float) -> bytes:
        asked.append(command)
        return PRINTED.encode()

    listed = gpus(lambda _: "/usr/bin/nvidia-smi", run, tmp_path)["gpus"]
    assert isinstance(listed, list)
    assert (2, "/usr/bin/nvidia-smi") == (len(listed), asked[0][0])


def test_a_tool_that_fails_is_told(tmp_path: Path) -> None:
    def run(*_: object) -> bytes:
        raise CommandFailed("nvidia-smi ended with 9")

    with pytest.raises(CommandFailed):
        gpus(lambda _: "/usr/bin/nvidia-smi", run, tmp_path)


def test_a_tool_that_fails_costs_no_other_card(tmp_path: Path) -> None:
    device = tmp_path / "card0/device"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x1002\n")
    (device / "hwmon/hwmon1").mkdir(parents=True)
    (device / "hwmon/hwmon1/power1_input").write_text("25000000\n")

    def run(*_: object) -> bytes:
        raise CommandFailed("nvidia-smi ended with 9")

    listed = gpus(lambda _: "/usr/bin/nvidia-smi", run, tmp_path)["gpus"]
    assert isinstance(listed, list)
    assert [("AMD", 25.0)] == [(each["name"], each["power_w"]) for each in listed]


def test_amds_cards_are_read_from_the_kernel(tmp_path: Path) -> None:
    device = tmp_path / "card1/device"
    sensors = device / "hwmon/hwmon3"
    sensors.mkdir(parents=True)
    (tmp_path / "card1-DP-1").mkdir()
    files = {
        "vendor": "0x1002\n",
        "gpu_busy_percent": "12\n",
        "mem_info_vram_used": "100\n",
        "mem_info_vram_total": "200",
    }
    for name, text in files.items():
        (device / name).write_text(text, encoding="ascii")
    (sensors / "temp1_input").write_text("47500\n", encoding="ascii")
    intel = tmp_path / "card0/device"
    intel.mkdir(parents=True)
    (intel / "vendor").write_text("0x8086\n", encoding="ascii")
    expected = {"index": 1, "name": "AMD", "percent": 12.0, "mem_used": 100, "mem_total": 200}
    assert {"gpus": [{**expected, "temperature": 47.5, "power_w": None}]} == gpus(lambda _: None, cards=tmp_path)


def test_a_machine_without_cards_has_no_field(tmp_path: Path) -> None:
    assert {} == gpus(lambda _: None, cards=tmp_path / "missing")
