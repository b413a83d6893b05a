"""What the host metrics of OpenTelemetry are in our terms: `docs/senders.md` has the same as a table. Pure.

https://opentelemetry.io/docs/specs/semconv/system/system-metrics/
"""

from collections.abc import Callable, Mapping

import msgspec

from services.ingest.senders.devices import is_real_interface, is_storage, is_whole_disk
from services.ingest.senders.readings import Quantity

Attributes = Mapping[str, str]


class Meaning(msgspec.Struct, frozen=True):
    """What a metric is: a quantity, what part of the machine, and which kind; no kind means that it does not count."""

    quantity: Quantity
    part: str = ""
    kinds: Mapping[str, str] = {}
    attribute: str = "state"
    """The attribute that says the kind, by `kinds`; those that it does not know are `other`."""
    other: str = ""
    counts: Callable[[Attributes], bool] = lambda _: True

    def kind_of(self, attributes: Attributes) -> str | None:
        """Return the kind of a data point, None for one that does not count."""
        if not self.counts(attributes):
            return None
        if not self.kinds:
            return self.other
        return self.kinds.get(attributes.get(self.attribute, ""), self.other) or None


def _is_open_tcp(attributes: Attributes) -> bool:
    """Whether connections count: established ones, and those that this side is to close (tcpCurrEstab, RFC 4022)."""
    return attributes.get("protocol") == "tcp" and attributes.get("state", "").upper() in {"ESTABLISHED", "CLOSE_WAIT"}


_BUSY = {"idle": "idle", "wait": "idle", "iowait": "idle"}

MEANINGS: Mapping[str, Meaning] = {
    "system.cpu.load_average.1m": Meaning("load1"),
    "system.cpu.load_average.5m": Meaning("load5"),
    "system.cpu.load_average.15m": Meaning("load15"),
    "system.cpu.time": Meaning("cpu_time", "cpu", _BUSY, other="busy"),
    "system.cpu.utilization": Meaning("cpu_share", "cpu", _BUSY, other="busy"),
    "system.memory.usage": Meaning(
        "memory",
        kinds={
            "total": "total",
            "used": "used",
            "free": "rest",
            "buffered": "rest",
            "cached": "rest",
            "inactive": "rest",
        },
    ),
    "system.memory.limit": Meaning("memory", other="total"),
    "system.paging.usage": Meaning("swap", "device", {"used": "used", "free": "rest"}),
    "system.filesystem.usage": Meaning(
        "filesystem",
        "device",
        {"used": "used", "free": "rest", "reserved": "reserved"},
        counts=lambda attributes: is_storage(attributes.get("type", "")),
    ),
    "system.disk.io": Meaning(
        "disk_io",
        "device",
        {"read": "read", "write": "write"},
        "direction",
        counts=lambda attributes: is_whole_disk(attributes.get("device", "")),
    ),
    "system.network.io": Meaning(
        "network_io",
        "device",
        {"receive": "rx", "transmit": "tx"},
        "direction",
        counts=lambda attributes: is_real_interface(attributes.get("device", "")),
    ),
    "system.network.connections": Meaning("tcp", counts=_is_open_tcp),
    "system.processes.count": Meaning("processes", "status"),
    "system.uptime": Meaning("uptime"),
}
"""By the name of the metric."""


NEWER_NAMES: Mapping[str, str] = {
    "cpu.logical_number": "cpu",
    "cpu.mode": "state",
    "system.memory.state": "state",
    "system.paging.state": "state",
    "system.filesystem.state": "state",
    "system.filesystem.type": "type",
    "system.device": "device",
    "disk.io.direction": "direction",
    "network.io.direction": "direction",
    "network.interface.name": "device",
    "network.transport": "protocol",
    "network.connection.state": "state",
    "process.status": "status",
}
"""What the Collector calls an attribute, by what the conventions call it by now."""
