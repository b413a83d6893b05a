"""What the disks read and write."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from muster_agent.collectors.disk_io import DiskCounters, DiskIoCollector, read_disk_counters


def test_rates_are_added_up_over_the_disks() -> None:
    readings = iter(
        [
            {"sda": DiskCounters(1000, 5000), "sdb": DiskCounters(0, 0)},
            {"sda": DiskCounters(3000, 5000), "sdb": DiskCounters(500, 100)},
        ]
    )
    collector = DiskIoCollector(lambda: next(readings))
    assert {} == collector.collect(10.0)
    assert {"disk_read_rate": 1250.0, "disk_write_rate": 50.0} == collector.collect(12.0)


def test_a_disk_that_is_unplugged_does_not_spoil_the_others() -> None:
    readings = iter([{"sda": DiskCounters(0, 0), "usb": DiskCounters(10**9, 0)}, {"sda": DiskCounters(100, 0)}])
    collector = DiskIoCollector(lambda: next(readings))
    collector.collect(10.0)
    assert {"disk_read_rate": 100.0, "disk_write_rate": 0.0} == collector.collect(11.0)


@pytest.fixture
def block_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    counter = SimpleNamespace(read_bytes=1, write_bytes=2)
    names = ["sda", "sda1", "dm-0", "loop0", "cciss/c0d0"]
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: dict.fromkeys(names, counter))
    return tmp_path


def test_only_physical_disks_count(block_devices: Path) -> None:
    for name in ("sda/device", "cciss!c0d0/device", "dm-0", "loop0"):
        (block_devices / name).mkdir(parents=True)
    assert {"sda", "cciss/c0d0"} == read_disk_counters(block_devices).keys()


@pytest.mark.parametrize(("head", "counted"), [(7, {"nvme0n1"}), (0, {"nvme0n1", "nvme0c0n1"})])
def test_a_path_to_a_disk_counts_only_where_the_disk_counts_nothing_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: int, counted: set[str]
) -> None:
    read = {"nvme0n1": SimpleNamespace(read_bytes=head, write_bytes=head)}
    read["nvme0c0n1"] = SimpleNamespace(read_bytes=7, write_bytes=7)
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: read)
    for name in read:
        (tmp_path / name / "device").mkdir(parents=True)
    assert counted == read_disk_counters(tmp_path).keys()


def test_where_none_is_physical_whole_disks_count(block_devices: Path) -> None:
    (block_devices / "sda").mkdir()
    assert {"sda": DiskCounters(1, 2)} == read_disk_counters(block_devices)


def test_where_the_kernel_shows_nothing_all_count(block_devices: Path) -> None:
    assert 5 == len(read_disk_counters(block_devices / "missing"))


def test_a_machine_without_disks_has_no_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: None)
    assert {} == read_disk_counters()
