"""How full the file systems are, each piece of storage counted once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from muster_agent.collectors.base import LONGEST_LIST
from muster_agent.collectors.disk_io import DiskCounters, DiskRates, read_device_counters

# Images that are mounted: always full, and never to become fuller.
IMAGES = frozenset({"squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs"})
# Views of storage that is counted elsewhere, or of memory.
NOT_STORAGE = frozenset({"overlay", "aufs", "tmpfs", "devtmpfs", "ramfs", "autofs"})
APFS_VOLUME = re.compile(r"(/dev/disk\d+)s\d+.*")


@dataclass(frozen=True)
class Mount:
    """A mounted file system: the device as the system names it, where it is mounted, and its type."""

    device: str
    mountpoint: str
    filesystem: str


@dataclass(frozen=True)
class Filesystem:
    """Storage that fills up as one: where it is mounted, and its bytes."""

    mount: Mount
    used: int
    total: int


def read_mounts() -> list[Mount]:
    """Give the mounts of physical devices, as psutil tells them from virtual and network ones.

    Files that are mounted, as engines do in containers, are no places that fill up.
    """
    return [
        Mount(_without_links(each.device), each.mountpoint, each.fstype)
        for each in psutil.disk_partitions(all=False)
        if Path(each.mountpoint).is_dir()
    ]


def read_usage(mountpoint: str) -> tuple[int, int]:
    """Give (used, total) bytes of the file system mounted there. Raises OSError.

    Used is what nobody but root can use any more: what is reserved for root counts, so that a disk to which nothing can
    be written is full, and so do the other volumes of an APFS container, whose free space is shared.
    """
    usage = psutil.disk_usage(mountpoint)
    return int(usage.total - usage.free), int(usage.total)


def storage_key(mount: Mount) -> str:
    """Name the storage behind a mount.

    Equal for all that share their free space: bind mounts, btrfs subvolumes, the datasets of a ZFS pool, the volumes
    of an APFS container.
    """
    if mount.filesystem == "zfs":
        return "zfs:" + mount.device.split("/", 1)[0]
    apfs = APFS_VOLUME.fullmatch(mount.device) if mount.filesystem == "apfs" else None
    return apfs.group(1) if apfs else mount.device


def measured_filesystems(mounts: Iterable[Mount], usage: Callable[[str], tuple[int, int]]) -> list[Filesystem]:
    """Measure every piece of storage once, in the order of the mounts.

    A mount that cannot be read (no permission, gone meanwhile) is passed over, and the next one of the same storage
    is tried.
    """
    found: dict[str, Filesystem] = {}
    for mount in mounts:
        key = storage_key(mount)
        is_pool = mount.filesystem == "zfs"
        if mount.filesystem in IMAGES | NOT_STORAGE or (key in found and not is_pool):
            continue
        try:
            used, total = usage(mount.mountpoint)
        except OSError:
            continue
        if total > 0:
            found[key] = _joined(found.get(key), Filesystem(mount, used, total))
    return list(found.values())


def _joined(pool: Filesystem | None, dataset: Filesystem) -> Filesystem:
    """Add a ZFS dataset to its pool: each reports its own use, and the whole pool's free space."""
    if pool is None:
        return dataset
    used = pool.used + dataset.used
    free = max(pool.total - pool.used, dataset.total - dataset.used)
    return Filesystem(pool.mount, used, used + free)


def _without_links(device: str) -> str:
    return os.path.realpath(device) if device.startswith("/") else device


class FilesystemCollector:
    """`disk_used` and `disk_total` in bytes over all storage, and `disks`, a list of what they are made of.

    An entry is `{mountpoint, device, filesystem, used, total, read_rate, write_rate}`, the fullest first where there
    are more than can be listed; the rates are those of its device. Where no physical device is to be seen, as in many
    containers, there is no list, and the root file system counts.
    """

    name = "filesystems"

    def __init__(
        self,
        mounts: Callable[[], Iterable[Mount]] = read_mounts,
        usage: Callable[[str], tuple[int, int]] = read_usage,
        counters: Callable[[], Mapping[str, DiskCounters]] = read_device_counters,
    ) -> None:
        self._mounts = mounts
        self._usage = usage
        self._counters = counters
        self._rates = DiskRates()

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields; the first collection has no rates. Raises OSError when not even the root can be read."""
        measured = measured_filesystems(self._mounts(), self._usage)
        if not measured:
            used, total = self._usage(os.sep)
            return {"disk_used": used, "disk_total": total}
        rates = self._rates.update(self._counters(), now_s)
        return {
            "disk_used": sum(each.used for each in measured),
            "disk_total": sum(each.total for each in measured),
            "disks": [_entry(each, rates) for each in _most_important(measured)],
        }


def _most_important(measured: list[Filesystem]) -> list[Filesystem]:
    if len(measured) <= LONGEST_LIST:
        return measured
    return sorted(measured, key=lambda each: each.used / each.total, reverse=True)[:LONGEST_LIST]


def _entry(filesystem: Filesystem, rates: Mapping[str, tuple[float, float]]) -> dict[str, object]:
    mount = filesystem.mount
    read_rate, write_rate = rates.get(mount.device.rpartition("/")[2], (None, None))
    return {
        "mountpoint": mount.mountpoint,
        "device": mount.device,
        "filesystem": mount.filesystem,
        "used": filesystem.used,
        "total": filesystem.total,
        "read_rate": read_rate,
        "write_rate": write_rate,
    }
