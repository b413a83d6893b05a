"""Tags: the labels that products may have, with how they look."""

import msgspec

from shared.resources.declaration import Color, Name, Position, managed


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A label."""

    name: Name
    color: Color = ""
    position: Position = 0


TAGS = managed("tags", Tag, singular="tag", prefix="t", unique=("name",), sortable=("name", "position"))
