"""Dining tables: where guests sit."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.resources.declaration import Name, Position, Reference, managed


class DiningTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table with room for `capacity` guests."""

    name: Name
    zone_id: Reference = ""
    capacity: Annotated[int, Meta(ge=1, le=1000)] = 4
    status: Literal["free", "occupied", "reserved", "closed"] = "free"
    position: Position = 0


DINING_TABLES = managed(
    "dining_tables",
    DiningTable,
    singular="dining_table",
    prefix="dt",
    sortable=("name", "position", "capacity"),
    filters=(("zone_id", "zone_id"), ("status", "status")),
)
