"""What this machine is made of: facts that change rarely, told to the server at a handshake."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import psutil

from muster_agent.collectors.base import LONGEST_LIST
from muster_agent.collectors.filesystems import Mount, measured_filesystems, read_mounts, read_usage
from muster_agent.collectors.kernel_files import text_of
from muster_agent.collectors.network import carried_interfaces, counted_interfaces
from muster_agent.collectors.operating_system import operating_system

CPUINFO = Path("/proc/cpuinfo")
# The names under which kernels of different architectures describe the processor, the best first.
MODEL_KEYS = ("model name", "Model", "cpu model", "cpu", "Hardware", "Processor")
BLOCK_DEVICES = Path("/sys/block")
SECTOR_BYTES = 512
# Floppy disks, and what an eMMC has beside its storage.
NO_DISK = re.compile(r"fd\d+|mmcblk\d+(boot\d+|rpmb)")
SCSI_CDROM = "5"
IPV6_ADDRESSES = Path("/proc/net/if_inet6")
# if_addr.h: an address that the system made up for a while (RFC 8981).
IS_TEMPORARY = 0x01
MOST_ADDRESSES = 16
# What changes without the machine being another one.
PASSING = frozenset({"boot_time", "packages"})
NO_HARDWARE_ADDRESS = "00:00:00:00:00:00"


def system() -> dict[str, object]:
    """Give `os`, the system's name and version, `kernel` and `arch`."""
    read = operating_system()
    return {"os": f"{read['name']} {read['version']}".strip(), "kernel": read["kernel"], "arch": read["arch"]}


def processor(cpuinfo: Path = CPUINFO) -> dict[str, object]:
    """Give `cpu_model`, `cores` (physical) and `threads` (logical)."""
    return {
        "cpu_model": _cpu_model(cpuinfo),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(logical=True),
    }


def memory_size() -> dict[str, object]:
    """Give `memory_bytes`."""
    return {"memory_bytes": int(psutil.virtual_memory().total)}


def disks(block_devices: Path = BLOCK_DEVICES) -> dict[str, object]:
    """Give `disks`, a list of `{name, model, size_bytes, rotational}` of the physical ones; on Linux only."""
    if not block_devices.is_dir():
        return {}
    physical = sorted(each for each in block_devices.iterdir() if (each / "device").exists() and not _is_no_disk(each))
    listed = [_disk(each) for each in physical]
    return {"disks": [each for each in listed if each["size_bytes"]][:LONGEST_LIST]}


def filesystems(
    mounts: Callable[[], Iterable[Mount]] = read_mounts,
    usage: Callable[[str], tuple[int, int]] = read_usage,
) -> dict[str, object]:
    """Give `filesystems`, a list of `{device, mountpoint, filesystem, size_bytes}`, each piece of storage once.

    A pool of ZFS has no size here: it grows and shrinks a little with all that is written.
    """
    return {
        "filesystems": [
            {
                "device": each.mount.device,
                "mountpoint": each.mount.mountpoint,
                "filesystem": each.mount.filesystem,
                "size_bytes": None if each.mount.filesystem == "zfs" else each.total,
            }
            for each in measured_filesystems(mounts(), usage)[:LONGEST_LIST]
        ]
    }


def interfaces(ipv6_addresses: Path = IPV6_ADDRESSES) -> dict[str, object]:
    """Give `interfaces`, a list of `{name, mac, addresses}`, of those whose traffic is counted.

    With them the bridges, bonds and VLANs that they carry, where these have addresses in their place. Addresses that
    are valid on one link only, on this machine, or for a while are left out.
    """
    addresses: dict[str, list[object]] = {}
    for label, found in psutil.net_if_addrs().items():
        # a second address may have a label of its own
        addresses.setdefault(label.partition(":")[0], []).extend(found)
    temporary = _temporary(ipv6_addresses)
    counted = counted_interfaces(addresses)
    carried = [_interface(name, addresses[name], temporary) for name in carried_interfaces(addresses, counted)]
    listed = [_interface(name, addresses[name], temporary) for name in counted]
    listed += [each for each in carried if each["addresses"]]
    return {"interfaces": listed[:LONGEST_LIST]}


def boot_time() -> dict[str, object]:
    """Give `boot_time`, RFC 3339 in UTC."""
    return {"boot_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(psutil.boot_time()))}


def lasting(inventory: Mapping[str, object]) -> dict[str, object]:
    """Give the key facts: neither the boot time, which moves when its clock is set, nor the number of packages."""
    return {name: value for name, value in inventory.items() if name not in PASSING}


def _cpu_model(cpuinfo: Path) -> str | None:
    if not cpuinfo.exists():
        return None
    values: dict[str, str] = {}
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        values.setdefault(key.strip(), value.strip())
    return next((values[key] for key in MODEL_KEYS if values.get(key)), None)


def _disk(device: Path) -> dict[str, object]:
    sectors, rotational = text_of(device / "size"), text_of(device / "queue/rotational")
    return {
        # The kernel writes "/" in a device's name as "!" there.
        "name": device.name.replace("!", "/"),
        "model": text_of(device / "device/model") or None,
        "size_bytes": int(sectors) * SECTOR_BYTES if sectors.isdecimal() else None,
        "rotational": {"0": False, "1": True}.get(rotational),
    }


def _is_no_disk(device: Path) -> bool:
    """Whether this is a drive whose medium is another thing, or a part of a disk, or a path to one that is listed."""
    is_part = NO_DISK.fullmatch(device.name) is not None
    return is_part or text_of(device / "device/type") == SCSI_CDROM or text_of(device / "hidden") == "1"


def _interface(name: str, addresses: Iterable[object], temporary: Collection[str]) -> dict[str, object]:
    pairs = [(getattr(each, "family", None), str(getattr(each, "address", ""))) for each in addresses]
    macs = [address.lower() for family, address in pairs if family == psutil.AF_LINK and address != NO_HARDWARE_ADDRESS]
    reachable = {
        address for family, address in pairs if family in {socket.AF_INET, socket.AF_INET6} and _is_reachable(address)
    }
    return {
        "name": name,
        "mac": macs[0] if macs else None,
        "addresses": sorted(reachable - set(temporary))[:MOST_ADDRESSES] or None,
    }


def _is_reachable(address: str) -> bool:
    return not address.lower().startswith(("fe80:", "169.254.", "127.", "::1"))


def _temporary(ipv6_addresses: Path) -> set[str]:
    """Give the addresses with that flag: a line is address, interface's number, prefix, scope, flags, name."""
    rows = [line.split() for line in text_of(ipv6_addresses).splitlines()]
    return {socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0])) for row in rows if int(row[4], 16) & IS_TEMPORARY}
