"""How much is read from and written to the disks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from muster_agent.rates import CounterRates

BLOCK_DEVICES = Path("/sys/block")
NVME_PATH = re.compile(r"(nvme\d+)c\d+(n\d+)")


@dataclass(frozen=True)
class DiskCounters:
    """Bytes that a disk has read and written since it came up."""

    read_bytes: int
    written_bytes: int


NOTHING = DiskCounters(0, 0)


def read_device_counters() -> dict[str, DiskCounters]:
    """Give the counters of all block devices, partitions and volumes among them."""
    return {
        name: DiskCounters(int(each.read_bytes), int(each.write_bytes))
        for name, each in (psutil.disk_io_counters(perdisk=True, nowrap=False) or {}).items()
    }


def read_disk_counters(block_devices: Path = BLOCK_DEVICES) -> dict[str, DiskCounters]:
    """Give the counters of the physical disks.

    Partitions, RAID, LVM, loop devices and the like pass on what physical disks do, and would count it twice; only
    the physical ones have a `device` in sysfs. Where none has, all are given that are disks to the kernel.
    """
    counters = read_device_counters()
    # The kernel writes "/" in a device's name as "!" there.
    directories = {name: block_devices / name.replace("/", "!") for name in counters}
    physical = {
        name
        for name, directory in directories.items()
        if (directory / "device").exists() and not _is_counted_path(name, counters)
    }
    whole = {name for name, directory in directories.items() if directory.exists()}
    chosen = physical or whole or set(counters)
    return {name: each for name, each in counters.items() if name in chosen}


def _is_counted_path(name: str, counters: Mapping[str, DiskCounters]) -> bool:
    """Whether this is one of several paths to an NVMe disk that has counters of its own, as newer kernels keep them."""
    path = NVME_PATH.fullmatch(name)
    return path is not None and counters.get("".join(path.groups()), NOTHING) != NOTHING


class DiskRates:
    """What each device reads and writes between one reading of its counters and the next."""

    def __init__(self) -> None:
        self._read = CounterRates()
        self._written = CounterRates()

    def update(self, counters: Mapping[str, DiskCounters], now_s: float) -> dict[str, tuple[float, float]]:
        """Take a reading; give (read, written) in bytes per second of the devices of which both are known."""
        read = self._read.update({name: each.read_bytes for name, each in counters.items()}, now_s)
        written = self._written.update({name: each.written_bytes for name, each in counters.items()}, now_s)
        return {name: (round(rate, 1), round(written[name], 1)) for name, rate in read.items() if name in written}


class DiskIoCollector:
    """`disk_read_rate` and `disk_write_rate` over all physical disks, in bytes per second."""

    name = "disk_io"

    def __init__(self, read_counters: Callable[[], dict[str, DiskCounters]] = read_disk_counters) -> None:
        self._read_counters = read_counters
        self._rates = DiskRates()

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields; the first collection has none."""
        rates = self._rates.update(self._read_counters(), now_s).values()
        if not rates:
            return {}
        read, written = zip(*rates)
        return {"disk_read_rate": round(sum(read), 1), "disk_write_rate": round(sum(written), 1)}
