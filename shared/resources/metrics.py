"""Metrics: the latest sample of each server; the record's id is the server's."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.resources.declaration import Amount, Count, Line, Percent, Resource, Time
from shared.resources.details import Battery, Celsius, Container, Disk, Gpu, Interface, Process, Smart

_Entries = Meta(max_length=64)


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One measurement of a machine: sizes in bytes, rates in bytes per second, shares in percent.

    Lists and maps hold the most important entries of what there are more of. An empty list says that there are none.
    `(boot_id, seq)` tells the samples of an agent apart: `seq` counts up from one start of the agent to the next.
    """

    ts: Time
    # a pattern would be searched for anew in each of a thousand samples of one start: ingest checks the form itself
    boot_id: Annotated[str, Meta(max_length=64, extra_json_schema={"pattern": r"^[A-Za-z0-9_-]*$(?!\n)"})] = ""
    seq: Count = 0
    cpu_percent: Percent | None = None
    load1: Amount | None = None
    load5: Amount | None = None
    load15: Amount | None = None
    mem_used: Count | None = None
    mem_total: Count | None = None
    swap_used: Count | None = None
    swap_total: Count | None = None
    disk_used: Count | None = None
    disk_total: Count | None = None
    disk_read_rate: Amount | None = None
    disk_write_rate: Amount | None = None
    net_rx_total: Count | None = None
    net_tx_total: Count | None = None
    net_rx_rate: Amount | None = None
    net_tx_rate: Amount | None = None
    tcp_connections: Count | None = None
    udp_connections: Count | None = None
    processes: Count | None = None
    uptime_s: Amount | None = None
    temperatures: Annotated[dict[Line, Celsius], _Entries] | None = None
    gpus: Annotated[tuple[Gpu, ...], _Entries] | None = None
    disks: Annotated[tuple[Disk, ...], _Entries] | None = None
    interfaces: Annotated[tuple[Interface, ...], _Entries] | None = None
    containers: Annotated[tuple[Container, ...], _Entries] | None = None
    cpu_cores: Annotated[tuple[Percent, ...], Meta(max_length=1024)] | None = None
    battery: Battery | None = None
    top_processes: Annotated[tuple[Process, ...], _Entries] | None = None
    failed_units: Annotated[tuple[Line, ...], _Entries] | None = None
    smart: Annotated[tuple[Smart, ...], _Entries] | None = None


MEASUREMENTS = tuple(name for name in Sample.__struct_fields__ if name not in {"ts", "boot_id", "seq"})
"""The fields of which a sample has at least one."""

DETAILS = (
    *("temperatures", "gpus", "disks", "interfaces", "containers"),
    *("cpu_cores", "battery", "top_processes", "failed_units", "smart"),
)
"""The measurements that are not one number."""

METRICS = Resource(
    name="metrics", singular="metric", prefix="m", model=Sample, sortable=("ts",), beside=("sample_window",)
)
