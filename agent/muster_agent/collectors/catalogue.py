"""Lists the collectors that a sample and the facts about the machine are made of, and how often each is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from muster_agent.collectors import inventory
from muster_agent.collectors.base import Collector, CollectorGroup, Plan, Reading
from muster_agent.collectors.battery import battery
from muster_agent.collectors.connections import connections
from muster_agent.collectors.containers import ContainerCollector
from muster_agent.collectors.cpu import CpuCollector
from muster_agent.collectors.disk_io import DiskIoCollector
from muster_agent.collectors.failed_units import failed_units
from muster_agent.collectors.filesystems import FilesystemCollector
from muster_agent.collectors.gpus import gpus
from muster_agent.collectors.host import processes_and_uptime
from muster_agent.collectors.memory import memory
from muster_agent.collectors.network import NetworkCollector
from muster_agent.collectors.operating_system import operating_system
from muster_agent.collectors.packages import packages
from muster_agent.collectors.smart import smart
from muster_agent.collectors.temperatures import temperatures
from muster_agent.collectors.top_processes import TopProcessCollector
from muster_agent.collectors.virtualization import virtualization

# A fact that cannot be read for once has not changed: it stays what it was.
FOREVER = math.inf

INDISPENSABLE = frozenset({"cpu", "memory", "processes"})
"""Of these at least one must remain, so that there is a sample at all."""


def _reading(name: str, read: Callable[[], Mapping[str, object]]) -> Callable[[], Reading]:
    return lambda: Reading(name, read)


def _slowly(make: Callable[[], Collector], limit_s: float, every_s: float) -> Plan:
    return Plan(make, limit_s=limit_s, every_s=every_s, keep_s=every_s + limit_s, in_background=True)


SAMPLE = (
    Plan(CpuCollector),
    Plan(_reading("memory", memory)),
    Plan(FilesystemCollector),
    Plan(DiskIoCollector),
    Plan(NetworkCollector),
    Plan(_reading("connections", connections)),
    Plan(_reading("processes", processes_and_uptime)),
    _slowly(_reading("temperatures", temperatures), limit_s=5, every_s=10),
    _slowly(_reading("battery", battery), limit_s=5, every_s=30),
    _slowly(TopProcessCollector, limit_s=5, every_s=10),
    _slowly(ContainerCollector, limit_s=20, every_s=15),
    _slowly(_reading("gpus", gpus), limit_s=10, every_s=15),
    _slowly(_reading("failed_units", failed_units), limit_s=15, every_s=60),
    _slowly(_reading("smart", smart), limit_s=120, every_s=600),
)
INVENTORY = (
    Plan(_reading("system", inventory.system), keep_s=FOREVER),
    Plan(_reading("processor", inventory.processor), keep_s=FOREVER),
    Plan(_reading("memory_size", inventory.memory_size), keep_s=FOREVER),
    Plan(_reading("disks", inventory.disks), keep_s=FOREVER),
    Plan(_reading("mounts", inventory.filesystems), limit_s=3, keep_s=FOREVER),
    Plan(_reading("addresses", inventory.interfaces), keep_s=FOREVER),
    Plan(_reading("virtualization", lambda: {"virtualization": virtualization()}), keep_s=FOREVER),
    Plan(_reading("packages", packages), limit_s=5, every_s=3600, keep_s=FOREVER),
    Plan(_reading("boot_time", inventory.boot_time), keep_s=FOREVER),
)

NAMES = tuple(plan.name for plan in (*SAMPLE, *INVENTORY))
"""What can be turned off."""


def sample_collectors(without: Collection[str] = ()) -> CollectorGroup:
    """Give what measures all that a sample can hold; it remembers the counters of the collection before."""
    return CollectorGroup([plan for plan in SAMPLE if plan.name not in without])


def os_collectors() -> CollectorGroup:
    """Give what reads the `os` of a handshake."""
    return CollectorGroup([Plan(_reading("the operating system", operating_system), keep_s=FOREVER)])


def inventory_collectors(without: Collection[str] = ()) -> CollectorGroup:
    """Give what reads the `inventory` of a handshake."""
    return CollectorGroup([plan for plan in INVENTORY if plan.name not in without])
