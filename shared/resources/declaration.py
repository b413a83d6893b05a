"""What a resource declaration says, and the field types that declarations share."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.tokens import Role
from shared.validation import form

# PostgreSQL stores no NUL character, JSON numbers are exact up to 2^53; to Python's `$` a line break may still follow
Line = Annotated[
    str, Meta(max_length=200), form(r"^[^\x00-\x1f]*$(?!\n)", "one line of text, without control characters")
]
Text = Annotated[
    str, Meta(max_length=10_000, extra_json_schema={"format": "multi-line"}), form(r"^[^\x00]*$", "text without NUL")
]
Label = Annotated[
    str,
    Meta(min_length=1, max_length=64),
    form(r"^[^\x00-\x1f]+$(?!\n)", "one line of text, without control characters"),
]
Labels = Annotated[tuple[Label, ...], Meta(max_length=64)]
Name = Annotated[Line, Meta(min_length=1)]
Identifier = Annotated[
    str,
    Meta(min_length=1, max_length=64),
    form(r"^[A-Za-z0-9_-]+$(?!\n)", "letters, digits, `_` and `-` only"),
]
RecordId = Identifier
Reference = Annotated[str, Meta(max_length=64), form(r"^[A-Za-z0-9_-]*$(?!\n)", "letters, digits, `_` and `-` only")]
"""The id of another record, or nothing; that the record exists is not checked."""
References = Annotated[tuple[Annotated[Reference, Meta(min_length=1)], ...], Meta(max_length=64)]
Position = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""Where a record stands among others when people order them."""
Currency = Annotated[
    str,
    form(
        r"^([A-Z]{3})?$(?!\n)",
        "the three capital letters of a currency, such as EUR",
        description="The ISO 4217 code of a currency, such as EUR",
    ),
]
Color = Annotated[
    str,
    form(
        r"^(#[0-9a-f]{6})?$(?!\n)",
        "a color of six digits in lower case, such as #2456c9",
        description="Red, green and blue, such as #2456c9",
        extra_json_schema={"format": "color"},
    ),
]
Version = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Epoch = Annotated[str, form(r"^[0-9]{1,20}$(?!\n)", "a number in decimal digits", max_length=20)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Time = Annotated[datetime, Meta(tz=True)]


def refers_to(resource: str) -> Meta:
    """Return what is added to `Reference` where the other record is one of this resource."""
    return Meta(extra_json_schema={"x-resource": resource})


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of synchronised record.

    `model` is the whole record without its id and version; each field is a column of the table `name`. `singular` is
    what one record is called: `<singular>_id` is its id in events. Ids begin with `prefix`.
    `editable` are the fields that people may write, if their role is one of `writers`: where there are any, people
    create records, too. They delete those of a `deletable` resource as they are, without further ado.
    `unique` are the fields whose values are told apart in a workspace, but for empty ones. The changes of a
    `journalled` resource are kept, so that they can be looked up, replayed and undone.
    Lists can be ordered by the `sortable` fields, of which the first is the default, and narrowed by the `filters`
    (parameter, field) and by text that one of the `searched` fields contains. The first of the `searched` fields, else
    of the `sortable` ones, is what people know a record by.

    What people read about a field, in OpenAPI and in the form of its page, is the `description` of its type.
    """

    name: str
    singular: str
    prefix: str
    model: type[msgspec.Struct]
    editable: frozenset[str] = frozenset()
    writers: frozenset[Role] = frozenset({"owner", "editor"})
    deletable: bool = False
    journalled: bool = False
    unique: tuple[str, ...] = ()
    sortable: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()
    searched: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """Columns of the table that are no fields of the record, and that only the applier knows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the record's fields, in their order."""
        return self.model.__struct_fields__

    def claims(self, data: bytes) -> tuple[tuple[str, str], ...]:
        """Return the values of a record's JSON that no other record may have, as a draft claims them."""
        if not self.unique:
            return ()
        fields = msgspec.json.decode(data)
        return tuple((field, str(fields[field])) for field in self.unique)

    @property
    def given_up(self) -> tuple[tuple[str, str], ...]:
        """What the draft of a deletion says instead: the record's values may be those of others again."""
        return tuple((field, "") for field in self.unique)


def managed(  # noqa: PLR0913  (what a declaration says, by name)
    name: str,
    model: type[msgspec.Struct],
    *,
    singular: str,
    prefix: str,
    unique: tuple[str, ...] = (),
    sortable: tuple[str, ...],
    filters: tuple[tuple[str, str], ...] = (),
    searched: tuple[str, ...] = ("name",),
) -> Resource:
    """Declare a resource that people alone write: every field is theirs, and its changes are journalled."""
    return Resource(
        name=name,
        singular=singular,
        prefix=prefix,
        model=model,
        editable=frozenset(model.__struct_fields__),
        deletable=True,
        journalled=True,
        unique=unique,
        sortable=sortable,
        filters=filters,
        searched=searched,
    )
