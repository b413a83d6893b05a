"""Servers: the machines of the fleet, as people know them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.resources.declaration import Amount, Count, Labels, Line, Resource, Text, Time

Status = Literal["online", "offline", "unknown"]


class OperatingSystem(msgspec.Struct, frozen=True):
    """What a machine runs, as its agent says."""

    name: Line = ""
    version: Line = ""
    kernel: Line = ""
    arch: Line = ""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A machine. `status` and `last_seen` change when it goes online or offline, not with every sample."""

    name: Annotated[Line, Meta(min_length=1)]
    hostname: Line = ""
    machine_id: Line = ""
    status: Status = "unknown"
    last_seen: Time | None = None
    tags: Labels = ()
    groups: Labels = ()
    notes: Text = ""
    hidden: bool = False
    position: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    os: OperatingSystem = OperatingSystem()
    agent_version: Line = ""
    provider: Line = ""
    price: Amount | None = None
    currency: Annotated[str, Meta(pattern=r"^([A-Z]{3})?$(?!\n)")] = ""
    billing_cycle: Literal["", "monthly", "quarterly", "yearly", "once"] = ""
    expires_at: Time | None = None
    traffic_limit_bytes: Count | None = None


SERVERS = Resource(
    name="servers",
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
