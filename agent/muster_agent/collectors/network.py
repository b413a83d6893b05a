"""How much the network interfaces receive and send."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from muster_agent.collectors.base import LONGEST_LIST
from muster_agent.rates import CounterRates, total_rate

INTERFACES = Path("/sys/class/net")
LOOPBACK = ("lo",)
# What software puts between a machine's own programs: the traffic passes the real interfaces once more.
VIRTUAL = (
    *("lo", "veth", "docker", "br-", "virbr", "vmbr", "cni", "flannel", "cali", "tap", "tun", "wg", "ifb", "dummy"),
    *("awdl", "bridge", "gif", "llw", "stf", "utun"),
)


@dataclass(frozen=True)
class InterfaceCounters:
    """Bytes that an interface has received and sent since it came up."""

    received_bytes: int
    sent_bytes: int


def counted_interfaces(names: Iterable[str], interfaces: Path = INTERFACES) -> list[str]:
    """Choose the interfaces whose traffic is this machine's, each byte once.

    Those of physical (or a hypervisor's) devices, which have a `device` in sysfs, but for those that carry the traffic
    of another such one, as what a virtual machine is lent of a network card does. Containers have none; there, and on
    other systems, all whose name is not that of a virtual one.
    """
    listed = sorted(names)
    physical = [
        name
        for name in listed
        if (interfaces / name / "device").exists() and not (interfaces / name / "master" / "device").exists()
    ]
    if physical:
        return physical
    real = [name for name in listed if not name.startswith(VIRTUAL)]
    return real or [name for name in listed if name not in LOOPBACK]


def carried_interfaces(names: Iterable[str], counted: Iterable[str], interfaces: Path = INTERFACES) -> list[str]:
    """Choose the bridges, bonds, VLANs and the like that stand on the counted ones, be it on each other."""
    rest = {name for name in names if (interfaces / name).exists()} - set(counted)
    carriers, carried = set(counted), set()
    while carriers:
        above = {name for name in rest for each in carriers if (interfaces / name / f"lower_{each}").exists()}
        carried |= above
        rest -= above
        carriers = above
    return sorted(carried)


def read_interface_counters() -> dict[str, InterfaceCounters]:
    """Give the counters of the counted interfaces, by name."""
    counters = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    return {
        name: InterfaceCounters(int(counters[name].bytes_recv), int(counters[name].bytes_sent))
        for name in counted_interfaces(counters)
    }


class NetworkCollector:
    """`net_rx_total`, `net_tx_total` in bytes, `net_rx_rate`, `net_tx_rate` in bytes per second, and `interfaces`.

    An entry of `interfaces` is `{name, rx_total, tx_total, rx_rate, tx_rate}`.
    """

    name = "network"

    def __init__(self, read_counters: Callable[[], dict[str, InterfaceCounters]] = read_interface_counters) -> None:
        self._read_counters = read_counters
        self._received = CounterRates()
        self._sent = CounterRates()

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields; the first collection has no rates."""
        counters = self._read_counters()
        if not counters:
            return {}
        received = self._received.update({name: each.received_bytes for name, each in counters.items()}, now_s)
        sent = self._sent.update({name: each.sent_bytes for name, each in counters.items()}, now_s)
        return {
            "net_rx_total": sum(each.received_bytes for each in counters.values()),
            "net_tx_total": sum(each.sent_bytes for each in counters.values()),
            "net_rx_rate": _rounded(total_rate(received)),
            "net_tx_rate": _rounded(total_rate(sent)),
            "interfaces": [
                {
                    "name": name,
                    "rx_total": each.received_bytes,
                    "tx_total": each.sent_bytes,
                    "rx_rate": _rounded(received.get(name)),
                    "tx_rate": _rounded(sent.get(name)),
                }
                for name, each in list(counters.items())[:LONGEST_LIST]
            ],
        }


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)
