"""Servers: the machines of the fleet, as people know them."""

from typing import Literal

import msgspec

from shared.resources.declaration import Amount, Count, Currency, Labels, Line, Name, Position, Resource, Text, Time

Status = Literal["online", "offline", "unknown"]


class OperatingSystem(msgspec.Struct, frozen=True):
    """What a machine runs, as its agent says."""

    name: Line = ""
    version: Line = ""
    kernel: Line = ""
    arch: Line = ""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A machine. `status` and `last_seen` change when it goes online or offline, not with every sample."""

    name: Name
    hostname: Line = ""
    machine_id: Line = ""
    status: Status = "unknown"
    last_seen: Time | None = None
    tags: Labels = ()
    groups: Labels = ()
    notes: Text = ""
    hidden: bool = False
    position: Position = 0
    os: OperatingSystem = OperatingSystem()
    agent_version: Line = ""
    provider: Line = ""
    price: Amount | None = None
    currency: Currency = ""
    billing_cycle: Literal["", "monthly", "quarterly", "yearly", "once"] = ""
    expires_at: Time | None = None
    traffic_limit_bytes: Count | None = None


SERVERS = Resource(
    name="servers",
    singular="server",
    prefix="s",
    journalled=True,
    model=Server,
    editable=frozenset(
        {
            "name",
            "tags",
            "groups",
            "notes",
            "hidden",
            "position",
            "provider",
            "price",
            "currency",
            "billing_cycle",
            "expires_at",
            "traffic_limit_bytes",
        }
    ),
    sortable=("name", "status", "last_seen", "position"),
    filters=(("status", "status"), ("tag", "tags"), ("group", "groups")),
    searched=("name", "hostname"),
)
