"""What the lists of a sample are made of: one disk, one interface, one container, … of a machine.

Everything but what tells an entry from the others may be unknown. Names that are not known are left out.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.resources.declaration import Amount, Count, Line, Percent

Celsius = Annotated[float, Meta(ge=-273.15, le=1e6)]


class Disk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file system: its bytes, and what is read from and written to its device in bytes per second."""

    mountpoint: Line = ""
    device: Line = ""
    filesystem: Line = ""
    used: Count | None = None
    total: Count | None = None
    read_rate: Amount | None = None
    write_rate: Amount | None = None


class Interface(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A network interface: bytes since it came up, and bytes per second."""

    name: Line = ""
    rx_total: Count | None = None
    tx_total: Count | None = None
    rx_rate: Amount | None = None
    tx_rate: Amount | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A graphics processor: bytes of its memory, degrees Celsius, watts."""

    index: Count | None = None
    name: Line = ""
    percent: Percent | None = None
    mem_used: Count | None = None
    mem_total: Count | None = None
    temperature: Celsius | None = None
    power_w: Amount | None = None


class Container(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A container: percent of one core (two busy cores are 200), bytes, bytes per second."""

    name: Line = ""
    image: Line = ""
    state: Line = ""
    cpu_percent: Amount | None = None
    mem_used: Count | None = None
    net_rx_rate: Amount | None = None
    net_tx_rate: Amount | None = None


class Battery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The battery. `left_s` is how long it lasts, where the machine knows and is not plugged in."""

    percent: Percent | None = None
    plugged: bool | None = None
    left_s: Amount | None = None


class Process(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A process, by its name without arguments: percent of one core (two busy cores are 200), resident bytes."""

    pid: Count | None = None
    name: Line = ""
    cpu_percent: Amount | None = None
    mem_used: Count | None = None


class Smart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a disk says of itself. `worn_percent` beyond 100 is what a disk may say that outlives its rating."""

    device: Line = ""
    model: Line = ""
    healthy: bool | None = None
    temperature: Celsius | None = None
    power_on_hours: Count | None = None
    worn_percent: Annotated[float, Meta(ge=0, le=255)] | None = None
    reallocated_sectors: Count | None = None
    pending_sectors: Count | None = None
    media_errors: Count | None = None
