"""Lists the collectors that a sample and the facts about the machine are made of."""

from __future__ import annotations

from muster_agent.collectors import inventory
from muster_agent.collectors.base import CollectorGroup, Reading
from muster_agent.collectors.connections import connections
from muster_agent.collectors.cpu import CpuCollector
from muster_agent.collectors.disk_io import DiskIoCollector
from muster_agent.collectors.filesystems import filesystems
from muster_agent.collectors.host import processes_and_uptime
from muster_agent.collectors.memory import memory
from muster_agent.collectors.network import NetworkCollector
from muster_agent.collectors.operating_system import operating_system
from muster_agent.collectors.temperatures import temperatures
from muster_agent.collectors.virtualization import virtualization


def sample_collectors() -> CollectorGroup:
    """Give what measures all that a sample can hold; it remembers the counters of the collection before."""
    return CollectorGroup(
        [
            CpuCollector(),
            Reading("memory", memory),
            Reading("file systems", filesystems),
            DiskIoCollector(),
            NetworkCollector(),
            Reading("connections", connections),
            Reading("processes and uptime", processes_and_uptime),
            Reading("temperatures", temperatures),
        ]
    )


def os_collectors() -> CollectorGroup:
    """Give what reads the `os` of a handshake."""
    return CollectorGroup([Reading("the operating system", operating_system)])


def inventory_collectors() -> CollectorGroup:
    """Give what reads the `inventory` of a handshake."""
    return CollectorGroup(
        [
            Reading("the processor's model", inventory.processor),
            Reading("the memory's size", inventory.memory_size),
            Reading("the disks' sizes", inventory.disks),
            Reading("the network interfaces", inventory.interfaces),
            Reading("virtualization", lambda: {"virtualization": virtualization()}),
            Reading("the time of the last start", inventory.boot_time),
        ]
    )
