"""Categories: how products are grouped."""

import msgspec

from shared.resources.declaration import Color, Name, Position, Reference, managed


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A group of products, maybe within another one."""

    name: Name
    parent_id: Reference = ""
    color: Color = ""
    position: Position = 0


CATEGORIES = managed(
    "categories",
    Category,
    singular="category",
    prefix="c",
    sortable=("name", "position"),
    filters=(("parent_id", "parent_id"),),
)
