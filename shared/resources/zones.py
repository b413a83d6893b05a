"""Zones: the parts of a place in which tables stand."""

import msgspec

from shared.resources.declaration import Color, Name, Position, managed


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a place."""

    name: Name
    color: Color = ""
    position: Position = 0


ZONES = managed("zones", Zone, singular="zone", prefix="z", unique=("name",), sortable=("name", "position"))
