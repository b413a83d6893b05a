"""Attributes: what can be chosen or said about a product."""

from typing import Literal

import msgspec

from shared.resources.declaration import Labels, Name, Position, managed


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """A question about a product; a choice is among its `options`."""

    name: Name
    kind: Literal["choice", "choices", "text", "number", "boolean"] = "choice"
    options: Labels = ()
    required: bool = False
    position: Position = 0


ATTRIBUTES = managed(
    "attributes",
    Attribute,
    singular="attribute",
    prefix="at",
    unique=("name",),
    sortable=("name", "position"),
    filters=(("kind", "kind"),),
)
