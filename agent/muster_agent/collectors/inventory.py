"""What this machine is made of: facts that change rarely, told to the server at a handshake."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

from muster_agent.collectors.base import LONGEST_LIST
from muster_agent.collectors.filesystems import Mount, measured_filesystems, read_mounts, read_usage
from muster_agent.collectors.network import counted_interfaces

CPUINFO = Path("/proc/cpuinfo")
# The names under which kernels of different architectures describe the processor, the best first.
MODEL_KEYS = ("model name", "Model", "cpu model", "cpu", "Hardware", "Processor")
NO_HARDWARE_ADDRESS = "00:00:00:00:00:00"


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


def disks(
    mounts: Callable[[], Iterable[Mount]] = read_mounts,
    usage: Callable[[str], tuple[int, int]] = read_usage,
) -> dict[str, object]:
    """Give `disks`, a list of `{device, mountpoint, filesystem, size_bytes}`, each piece of storage once."""
    return {
        "disks": [
            {
                "device": each.mount.device,
                "mountpoint": each.mount.mountpoint,
                "filesystem": each.mount.filesystem,
                "size_bytes": each.total,
            }
            for each in measured_filesystems(mounts(), usage)[:LONGEST_LIST]
        ]
    }


def interfaces() -> dict[str, object]:
    """Give `interfaces`, a list of `{name, mac, addresses}`, of those whose traffic is counted.

    Addresses that are valid on one link only, or on this machine, are left out.
    """
    addresses = psutil.net_if_addrs()
    listed = [_interface(name, addresses[name]) for name in counted_interfaces(addresses)]
    return {"interfaces": listed[:LONGEST_LIST]}


def boot_time() -> dict[str, object]:
    """Give `boot_time`, RFC 3339 in UTC."""
    return {"boot_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(psutil.boot_time()))}


def lasting(inventory: Mapping[str, object]) -> dict[str, object]:
    """Give what a change of the machine would change: not the boot time, which moves when its clock is set."""
    return {name: value for name, value in inventory.items() if name != "boot_time"}


def _cpu_model(cpuinfo: Path) -> str | None:
    if not cpuinfo.exists():
        return None
    values: dict[str, str] = {}
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        values.setdefault(key.strip(), value.strip())
    return next((values[key] for key in MODEL_KEYS if values.get(key)), None)


def _interface(name: str, addresses: Iterable[object]) -> dict[str, object]:
    pairs = [(getattr(each, "family", None), str(getattr(each, "address", ""))) for each in addresses]
    macs = [address.lower() for family, address in pairs if family == psutil.AF_LINK and address != NO_HARDWARE_ADDRESS]
    reachable = [
        address for family, address in pairs if family in {socket.AF_INET, socket.AF_INET6} and _is_reachable(address)
    ]
    return {"name": name, "mac": macs[0] if macs else None, "addresses": sorted(reachable)}


def _is_reachable(address: str) -> bool:
    return not address.lower().startswith(("fe80:", "169.254.", "127.", "::1"))
