"""Disks, interfaces and file systems that count."""

import pytest

from services.ingest.senders.devices import is_real_interface, is_storage, is_whole_disk


@pytest.mark.parametrize("name", ["sda", "vdb", "xvda", "nvme0n1", "mmcblk0", "hda", "disk0"])
def test_whole_disks(name: str) -> None:
    assert is_whole_disk(name)


@pytest.mark.parametrize("name", ["sda1", "vdb12", "nvme0n1p2", "mmcblk0p1", "dm-0", "md127", "loop7", "ram0", "zram0"])
def test_what_passes_on_what_whole_disks_do(name: str) -> None:
    assert not is_whole_disk(name)


@pytest.mark.parametrize(("name", "is_real"), [("eth0", True), ("ens3", True), ("lo", False), ("veth1a", False)])
def test_interfaces(name: str, is_real: bool) -> None:
    assert is_real == is_real_interface(name)


@pytest.mark.parametrize(("kind", "is_some"), [("ext4", True), ("zfs", True), ("", True), ("tmpfs", False)])
def test_file_systems(kind: str, is_some: bool) -> None:
    assert is_some == is_storage(kind)
