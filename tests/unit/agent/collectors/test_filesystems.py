"""How full the file systems are."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from muster_agent.collectors.disk_io import DiskCounters
from muster_agent.collectors.filesystems import FilesystemCollector, Mount, read_mounts, read_usage

GIB = 1024**3
USAGE = {
    "/": (10 * GIB, 100 * GIB),
    "/home": (50 * GIB, 500 * GIB),
    "/tank": (1 * GIB, 101 * GIB),
    "/tank/media": (200 * GIB, 300 * GIB),
}


def usage(mountpoint: str) -> tuple[int, int]:
    if mountpoint not in USAGE:
        raise PermissionError(13, "Permission denied")
    return USAGE[mountpoint]


def measured(*mounts: Mount) -> dict[str, object]:
    return FilesystemCollector(lambda: mounts, usage, dict).collect(0.0)


def totals(*mounts: Mount) -> tuple[object, object]:
    fields = measured(*mounts)
    return fields["disk_used"], fields["disk_total"]


ROOT = Mount("/dev/sda1", "/", "ext4")
HOME = Mount("/dev/sdb1", "/home", "xfs")


def test_all_storage_is_added_up() -> None:
    assert (60 * GIB, 600 * GIB) == totals(ROOT, HOME)


@pytest.mark.parametrize(
    "again",
    [
        Mount("/dev/sda1", "/home", "ext4"),
        Mount("/dev/sda1", "/etc/hosts", "ext4"),
        Mount("/dev/sda1", "/home", "btrfs"),
    ],
    ids=["bind mount", "file mounted into a container", "btrfs subvolume"],
)
def test_storage_that_is_mounted_twice_counts_once(again: Mount) -> None:
    assert (10 * GIB, 100 * GIB) == totals(ROOT, again)


@pytest.mark.parametrize("kind", ["squashfs", "iso9660", "overlay", "tmpfs", "devtmpfs"])
def test_images_and_views_do_not_count(kind: str) -> None:
    assert (10 * GIB, 100 * GIB) == totals(Mount("/dev/loop0", "/home", kind), ROOT)


def test_the_datasets_of_a_zfs_pool_share_their_free_space() -> None:
    pool, dataset = Mount("tank", "/tank", "zfs"), Mount("tank/media", "/tank/media", "zfs")
    assert (201 * GIB, 301 * GIB) == totals(pool, dataset)


def test_the_volumes_of_an_apfs_container_count_once() -> None:
    system, data = Mount("/dev/disk3s1s1", "/", "apfs"), Mount("/dev/disk3s5", "/home", "apfs")
    assert (10 * GIB, 100 * GIB) == totals(system, data)


def test_a_mount_that_cannot_be_read_is_passed_over_for_another_of_the_same_storage() -> None:
    assert (10 * GIB, 100 * GIB) == totals(Mount("/dev/sda1", "/forbidden", "ext4"), ROOT)


def test_without_physical_devices_the_root_counts() -> None:
    assert {"disk_used": 10 * GIB, "disk_total": 100 * GIB} == measured()


def test_each_file_system_is_listed() -> None:
    listed = measured(HOME)["disks"]
    expected = {
        "mountpoint": "/home",
        "device": "/dev/sdb1",
        "filesystem": "xfs",
        "used": 50 * GIB,
        "total": 500 * GIB,
        "read_rate": None,
        "write_rate": None,
    }
    assert [expected] == listed


def test_a_machine_of_many_mounts_lists_some_and_counts_all() -> None:
    mounts = [Mount(f"/dev/sd{number}", "/", "ext4") for number in range(40)]
    fields = measured(*mounts)
    assert 400 * GIB == fields["disk_used"]
    assert isinstance(fields["disks"], list)
    assert 32 == len(fields["disks"])


def test_of_many_mounts_the_fullest_are_listed() -> None:
    mounts = [
        *(Mount(f"/dev/sd{number}", "/", "ext4") for number in range(40)),
        Mount("/dev/full", "/tank/media", "xfs"),
    ]
    listed = measured(*mounts)["disks"]
    assert isinstance(listed, list)
    assert "/dev/full" == listed[0]["device"]


def test_a_file_system_has_the_rates_of_its_device() -> None:
    readings = iter([{"sda1": DiskCounters(0, 0), "sdb1": DiskCounters(5, 5)}, {"sda1": DiskCounters(1000, 500)}])
    collector = FilesystemCollector(lambda: [ROOT, HOME], usage, lambda: next(readings))
    collector.collect(10.0)
    listed = collector.collect(15.0)["disks"]
    assert isinstance(listed, list)
    assert [(200.0, 100.0), (None, None)] == [(each["read_rate"], each["write_rate"]) for each in listed]


def test_this_machines_root_can_be_measured() -> None:
    used, total = read_usage("/")
    assert 0 < used <= total
    root = os.statvfs("/")
    assert total - used == pytest.approx(root.f_bavail * root.f_frsize, rel=0.01)
    assert all(isinstance(mount, Mount) for mount in read_mounts())


def test_files_that_are_mounted_into_a_container_are_no_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    file.touch()
    mounted = [SimpleNamespace(device="x", mountpoint=str(each), fstype="ext4") for each in (file, tmp_path)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounted)
    assert [str(tmp_path)] == [each.mountpoint for each in read_mounts()]
