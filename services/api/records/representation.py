"""Records as the api shows them, and the types by which OpenAPI describes them.

The JSON of a record is passed on as its producer encoded it, with its id and version in front.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from services.api.records.cursor import CursorText
from shared.change import put_before
from shared.resources import Resource
from shared.resources.declaration import Epoch, Identifier, Version
from shared.topic import Record


def represent(record: Record) -> bytes:
    """Return the JSON object of a record, id and version among its fields."""
    return put_before(f'{{"id":"{record.id}","version":{record.version}', record.data)


def represent_all(records: Iterable[Record], **more: object) -> bytes:
    """Return a JSON object with the records as `items`, beside what else is given."""
    return msgspec.json.encode({"items": [msgspec.Raw(represent(record)) for record in records], **more})


@cache
def record_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of one record; the encoder of some leaves out what has its default."""
    is_partial = resource.model.__struct_config__.omit_defaults
    fields = [
        (field.name, field.type, field.default) if is_partial and not field.required else (field.name, field.type)
        for field in msgspec.structs.fields(resource.model)
    ]
    head = [("id", Identifier), ("version", Version)]
    return msgspec.defstruct(f"{resource.model.__name__}Record", [*head, *fields], kw_only=True)


@cache
def page_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of one page of a list."""
    return msgspec.defstruct(
        f"{resource.model.__name__}Page",
        [
            ("items", list[record_type(resource)]),  # type: ignore[misc]  # the type is made at run time
            ("total", Version),
            ("epoch", Epoch),
            ("version", Version),
            ("next_cursor", CursorText | None),
        ],
    )


@cache
def edited_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of the answer to an edit of several records."""
    return msgspec.defstruct(
        f"{resource.model.__name__}Edits",
        [("items", list[record_type(resource)]), ("epoch", Epoch), ("version", Version)],  # type: ignore[misc]  # likewise
    )


@cache
def draft_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of what a record is made of: editable fields only, to be left out where they have a default."""
    fields = [
        (field.name, field.type) if field.required else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(resource.model)
        if field.name in resource.editable
    ]
    return msgspec.defstruct(f"{resource.model.__name__}Draft", fields, forbid_unknown_fields=True, kw_only=True)


@cache
def patch_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of a merge patch: editable fields only, all optional, null where a field has a default."""
    fields: list[tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(resource.model):
        if field.name in resource.editable:
            kind = field.type | UnsetType if field.required else field.type | None | UnsetType
            fields.append((field.name, kind, UNSET))
    return msgspec.defstruct(f"{resource.model.__name__}Patch", fields, forbid_unknown_fields=True)


def title(name: str) -> str:
    """Return a declared name as a part of the names of operations and types, such as `DiningTable`."""
    return "".join(part.title() for part in name.split("_"))
