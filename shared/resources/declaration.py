"""What a resource declaration says, and the field types that declarations share."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

# PostgreSQL stores no NUL character, JSON numbers are exact up to 2^53; to Python's `$` a line break may still follow
Line = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f]*$(?!\n)")]
Text = Annotated[str, Meta(max_length=10_000, pattern=r"^[^\x00]*$")]
Label = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$(?!\n)")]
Labels = Annotated[tuple[Label, ...], Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Time = Annotated[datetime, Meta(tz=True)]


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of synchronised record.

    `model` is the whole record without its id and version; each field is a column of the table `name`.
    `editable` are the fields that people may write; `unique` those whose values are told apart in a workspace.
    Lists can be ordered by the `sortable` fields, of which the first is the default, and narrowed by the `filters`
    (parameter, field) and by text that one of the `searched` fields contains.
    """

    name: str
    model: type[msgspec.Struct]
    editable: frozenset[str] = frozenset()
    unique: tuple[str, ...] = ()
    sortable: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()
    searched: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the record's fields, in their order."""
        return self.model.__struct_fields__
