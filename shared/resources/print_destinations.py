"""Print destinations: the printers that slips go to."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.resources.declaration import Line, Name, managed


class PrintDestination(msgspec.Struct, frozen=True, kw_only=True):
    """A printer at a host name or an IP address."""

    name: Name
    address: Line = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 9100
    protocol: Literal["raw", "ipp", "lpd"] = "raw"
    enabled: bool = True


PRINT_DESTINATIONS = managed(
    "print_destinations",
    PrintDestination,
    singular="print_destination",
    prefix="pd",
    unique=("name",),
    sortable=("name",),
    filters=(("protocol", "protocol"), ("enabled", "enabled")),
    searched=("name", "address"),
)
