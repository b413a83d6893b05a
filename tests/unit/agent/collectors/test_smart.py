"""The disks' own health."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from muster_agent.collectors.smart import entry_of, smart

ATA: Mapping[str, Any] = {
    "device": {"name": "/dev/sda", "type": "sat"},
    "model_name": "WDC WD40",
    "smart_status": {"passed": True},
    "temperature": {"current": 34},
    "power_on_time": {"hours": 12_000},
    "ata_smart_attributes": {
        "table": [{"id": 5, "raw": {"value": 8}}, {"id": 197, "raw": {"value": 0x0001_0000_0002}}, {"id": "x"}, 7]
    },
}
NVME: Mapping[str, Any] = {
    "device": {"name": "/dev/nvme0"},
    "model_name": "Samsung",
    "smart_status": {"passed": False},
    "nvme_smart_health_information_log": {"percentage_used": 300, "media_errors": 3},
}


def test_an_ata_disk_tells_of_its_sectors() -> None:
    assert {
        "device": "/dev/sda",
        "model": "WDC WD40",
        "healthy": True,
        "temperature": 34,
        "power_on_hours": 12_000,
        "worn_percent": None,
        "reallocated_sectors": 8,
        "pending_sectors": 2,
        "media_errors": None,
    } == entry_of(ATA)


def test_an_nvme_disk_tells_of_its_wear() -> None:
    entry = entry_of(NVME)
    assert entry
    assert (False, 255, 3) == (entry["healthy"], entry["worn_percent"], entry["media_errors"])


@pytest.mark.parametrize("report", [{}, {"smart_status": None}, {"smart_status": {"passed": "yes"}}])
def test_a_disk_that_was_not_asked_has_no_entry(report: Mapping[str, Any]) -> None:
    assert None is entry_of(report)


def test_each_disk_is_asked_and_left_asleep() -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: object) -> bytes:
        asked.append(command)
        if "--scan" in command:
            devices = [{"name": "/dev/sda", "type": "sat"}, {"name": "--evil"}, {"name": "/dev/nvme0"}, 5]
            return json.dumps({"devices": devices}).encode()
        return json.dumps(ATA if command[-1] == "/dev/sda" else {"smartctl": {"exit_status": 2}}).encode()

    listed = smart(lambda _: "/usr/sbin/smartctl", run)["smart"]
    assert isinstance(listed, list)
    assert ["/dev/sda"] == [each["device"] for each in listed]
    assert ["/dev/sda", "/dev/nvme0"] == [command[-1] for command in asked[1:]]
    assert all("--nocheck=standby" in command for command in asked[1:])


def test_where_none_may_be_asked_there_is_no_field() -> None:
    assert {} == smart(lambda _: None)
    assert {} == smart(lambda _: "/usr/sbin/smartctl", lambda *_, **__: b'{"devices": null}')


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        # how `smartctl --scan` (7.3) lists a SATA disk, which has no health when it is asked as one of SCSI
        ("scsi", []),
        ("", []),
        ("nvme", ["--device=nvme"]),
        ("sat+megaraid,1", ["--device=sat+megaraid,1"]),
    ],
)
def test_what_kind_a_disk_is_of_is_told_only_where_it_cannot_be_found_out(kind: str, flags: Sequence[str]) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: object) -> bytes:
        asked.append(command)
        return json.dumps({"devices": [{"name": "/dev/sda", "type": kind}]} if "--scan" in command else ATA).encode()

    assert "smart" in smart(lambda _: "/usr/sbin/smartctl", run)
    assert flags == [each for each in asked[1] if each.startswith("--device")]


def test_a_disk_that_does_not_answer_costs_only_its_own_entry() -> None:
    def run(command: Sequence[str], **_: object) -> bytes:
        if "--scan" in command:
            return json.dumps({"devices": [{"name": "/dev/sdb"}, {"name": "/dev/sda"}]}).encode()
        if command[-1] == "/dev/sdb":
            raise subprocess.TimeoutExpired(list(command), 10.0)
        return json.dumps(ATA).encode()

    listed = smart(lambda _: "/usr/sbin/smartctl", run)["smart"]
    assert isinstance(listed, list)
    assert ["/dev/sda"] == [each["device"] for each in listed]


def test_where_no_disk_answers_that_is_told() -> None:
    def run(command: Sequence[str], **_: object) -> bytes:
        return b'{"devices": [{"name": "/dev/sda"}]}' if "--scan" in command else b"{"

    with pytest.raises(ValueError, match="Expecting"):
        smart(lambda _: "/usr/sbin/smartctl", run)


def test_disks_behind_one_adapter_are_told_apart() -> None:
    device = {"name": "/dev/bus/0", "info_name": "/dev/bus/0 [megaraid_disk_01] [SAT]", "type": "sat+megaraid,1"}
    entry = entry_of({**ATA, "device": device})
    assert entry
    assert "/dev/bus/0 [megaraid_disk_01] [SAT]" == entry["device"]
