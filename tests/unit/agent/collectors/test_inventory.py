"""What a machine is made of."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from muster_agent.collectors import inventory
from muster_agent.collectors.filesystems import Mount


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        ("processor : 0\nmodel name : AMD EPYC\nprocessor : 1\nmodel name : other\n", "AMD EPYC"),
        ("processor : 0\nHardware : BCM2711\nModel : Raspberry Pi 4\n", "Raspberry Pi 4"),
        ("cpu : POWER9\n", "POWER9"),
        ("nothing : known\n", None),
    ],
)
def test_the_processors_model_is_what_the_kernel_calls_it(tmp_path: Path, cpuinfo: str, model: str | None) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo, encoding="utf-8")
    assert model == inventory.processor(file)["cpu_model"]


def test_a_system_without_cpuinfo_has_no_model(tmp_path: Path) -> None:
    assert None is inventory.processor(tmp_path / "missing")["cpu_model"]


def test_physical_disks_are_listed(tmp_path: Path) -> None:
    others = ("fd0", "mmcblk0boot0", "mmcblk0rpmb", "nvme0c0n1")
    for name in (
        "sda/device",
        "sda/queue",
        "cciss!c0d0/device",
        "loop0",
        "sr0/device",
        *(f"{n}/device" for n in others),
    ):
        (tmp_path / name).mkdir(parents=True)
    files = {"sda/size": "2048\n", "sda/device/model": "WDC  WD40\n", "sda/queue/rotational": "1\n"}
    files |= {"cciss!c0d0/size": "8", "sr0/size": "2097151", "sr0/device/type": "5\n", "loop0/size": "8"}
    files |= {f"{name}/size": "8" for name in others} | {"nvme0c0n1/hidden": "1\n", "sda/hidden": "0\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    array = {"name": "cciss/c0d0", "model": None, "size_bytes": 4096, "rotational": None}
    disk = {"name": "sda", "model": "WDC  WD40", "size_bytes": 1_048_576, "rotational": True}
    assert {"disks": [array, disk]} == inventory.disks(tmp_path)


def test_a_system_that_shows_no_block_devices_lists_none(tmp_path: Path) -> None:
    assert {} == inventory.disks(tmp_path / "missing")


def test_a_pool_has_no_size_that_would_change_all_the_time() -> None:
    listed = inventory.filesystems(lambda: [Mount("tank", "/tank", "zfs")], lambda _: (1, 100))["filesystems"]
    assert isinstance(listed, list)
    assert None is listed[0]["size_bytes"]


def test_file_systems_are_listed_with_their_sizes() -> None:
    mounts = [Mount("/dev/sda1", "/", "ext4"), Mount("/dev/sda1", "/bind", "ext4")]
    expected = {"device": "/dev/sda1", "mountpoint": "/", "filesystem": "ext4", "size_bytes": 100}
    assert {"filesystems": [expected]} == inventory.filesystems(lambda: mounts, lambda _: (1, 100))


def test_interfaces_are_listed_with_the_lasting_addresses_that_others_can_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = tmp_path / "if_inet6"
    kernel.write_text(
        "20010db8000000000000000000000007 02 40 00 80 venet7\n20010db8000000000000000000000abc 02 40 00 01 venet7\n",
        encoding="ascii",
    )

    def address(family: int, text: str) -> SimpleNamespace:
        return SimpleNamespace(family=family, address=text)

    listed = {
        "lo": [address(socket.AF_INET, "127.0.0.1")],
        "venet7": [
            address(socket.AF_INET6, "fe80::1%venet7"),
            address(socket.AF_INET6, "2001:db8::7"),
            address(socket.AF_INET6, "2001:db8::abc"),
            address(socket.AF_INET, "192.0.2.7"),
            address(socket.AF_INET, "169.254.3.3"),
            address(psutil.AF_LINK, "02:FC:00:00:00:01"),
        ],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: listed)
    expected = {"name": "venet7", "mac": "02:fc:00:00:00:01", "addresses": ["192.0.2.7", "2001:db8::7"]}
    assert {"interfaces": [expected]} == inventory.interfaces(kernel)


def test_what_stands_on_a_network_card_is_listed_with_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def address(text: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(family=socket.AF_INET, address=text)]

    found = {"eno1": [], "eno1:1": address("192.0.2.9"), "vmbr0": address("192.0.2.7"), "bond0": []}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    monkeypatch.setattr(inventory, "counted_interfaces", lambda _: ["eno1"])
    monkeypatch.setattr(inventory, "carried_interfaces", lambda *_: ["bond0", "vmbr0"])
    listed = inventory.interfaces()["interfaces"]
    assert isinstance(listed, list)
    assert [("eno1", ["192.0.2.9"]), ("vmbr0", ["192.0.2.7"])] == [(each["name"], each["addresses"]) for each in listed]


def test_the_boot_time_is_written_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "boot_time", lambda: 1_767_225_600.0)
    assert {"boot_time": "2026-01-01T00:00:00Z"} == inventory.boot_time()


def test_only_lasting_facts_are_compared() -> None:
    assert {"cores": 2} == inventory.lasting({"cores": 2, "boot_time": "2026-01-01T00:00:00Z", "packages": 812})


def test_this_machine_can_be_described() -> None:
    processor = inventory.processor()
    assert isinstance(processor["threads"], int)
    assert processor["threads"] >= 1
    assert psutil.virtual_memory().total == inventory.memory_size()["memory_bytes"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(inventory.boot_time()["boot_time"]))
