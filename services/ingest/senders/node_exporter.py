"""What the metrics of Prometheus's node_exporter are in our terms: `docs/senders.md` has the same as a table. Pure."""

from collections.abc import Mapping

import msgspec

from services.ingest.senders.devices import is_real_interface, is_storage, is_whole_disk
from services.ingest.senders.readings import Quantity

Labels = Mapping[str, str]


class Meaning(msgspec.Struct, frozen=True):
    """What a metric is: a quantity, of which part of the machine (a label), and which kind."""

    quantity: Quantity
    kind: str = ""
    part: str = ""

    def kind_of(self, labels: Labels) -> str | None:
        """Return the kind of a series, None for one that does not count."""
        if self.quantity == "cpu_time":
            return "idle" if labels.get("mode") in {"idle", "iowait"} else "busy"
        part = labels.get(self.part, "") if self.part else ""
        if self.quantity == "disk_io" and not is_whole_disk(part):
            return None
        if self.quantity == "network_io" and not is_real_interface(part):
            return None
        if self.quantity == "filesystem" and not is_storage(labels.get("fstype", "")):
            return None
        return self.kind


MEANINGS: Mapping[str, Meaning] = {
    "node_load1": Meaning("load1"),
    "node_load5": Meaning("load5"),
    "node_load15": Meaning("load15"),
    "node_cpu_seconds_total": Meaning("cpu_time", part="cpu"),
    "node_memory_MemTotal_bytes": Meaning("memory", "total"),
    "node_memory_MemAvailable_bytes": Meaning("memory", "free"),
    "node_memory_SwapTotal_bytes": Meaning("swap", "total"),
    "node_memory_SwapFree_bytes": Meaning("swap", "free"),
    "node_filesystem_size_bytes": Meaning("filesystem", "total", "device"),
    "node_filesystem_avail_bytes": Meaning("filesystem", "free", "device"),
    "node_disk_read_bytes_total": Meaning("disk_io", "read", "device"),
    "node_disk_written_bytes_total": Meaning("disk_io", "write", "device"),
    "node_network_receive_bytes_total": Meaning("network_io", "rx", "device"),
    "node_network_transmit_bytes_total": Meaning("network_io", "tx", "device"),
    "node_netstat_Tcp_CurrEstab": Meaning("tcp"),
    "node_sockstat_UDP_inuse": Meaning("udp"),
    "node_sockstat_UDP6_inuse": Meaning("udp"),
    "node_processes_pids": Meaning("processes"),
    "node_boot_time_seconds": Meaning("boot_time"),
}
"""By the name of the metric."""
