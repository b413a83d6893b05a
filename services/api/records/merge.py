"""Edits of a record: drafts, RFC 7396 merge patch and labels, to a record that its model accepts. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.api.bodies import as_field_error, invalid
from shared.io.problem import FieldError
from shared.resources import Resource


def merge(target: object, patch: object) -> object:
    """Merge a patch into a JSON value (https://www.rfc-editor.org/rfc/rfc7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def patched(resource: Resource, stored: bytes, patch: Mapping[str, Any]) -> bytes | None:
    """Return the stored record with the patch merged in, None when that changes nothing.

    A field that the patch removes has its default again. Raises HttpError (422) when the model does not accept it.
    """
    before = msgspec.json.decode(stored, type=resource.model)
    document = merge(msgspec.to_builtins(before, builtin_types=(datetime,)), dict(patch))
    try:
        after = msgspec.convert(document, resource.model)
    except msgspec.ValidationError as error:
        raise invalid(as_field_error(error)) from error
    return None if after == before else msgspec.json.encode(_in_utc(after))


def made(resource: Resource, draft: msgspec.Struct) -> bytes:
    """Return the record that has the fields of a draft and the defaults of all others."""
    return msgspec.json.encode(_in_utc(resource.model(**msgspec.structs.asdict(draft))))


def replaced(resource: Resource, stored: bytes, draft: msgspec.Struct) -> bytes | None:
    """Return the stored record with all editable fields as the draft has them, None when that changes nothing."""
    before = msgspec.json.decode(stored, type=resource.model)
    after = _in_utc(msgspec.structs.replace(before, **msgspec.structs.asdict(draft)))
    return None if after == before else msgspec.json.encode(after)


def relabelled(
    resource: Resource, stored: bytes, field: str, *, add: Sequence[str], remove: Sequence[str]
) -> bytes | None:
    """Return the stored record with labels added at the end and removed, None when that changes nothing.

    Raises HttpError (422) when there are too many labels then.
    """
    labels = getattr(msgspec.json.decode(stored, type=resource.model), field)
    kept = [label for label in labels if label not in set(remove)]
    wanted = [*kept, *(label for label in dict.fromkeys(add) if label not in kept)]
    return patched(resource, stored, {field: wanted})


def _in_utc(record: msgspec.Struct) -> msgspec.Struct:
    """Give all times the one form in which they are stored and shown."""
    times: dict[str, datetime] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, datetime):
            try:
                times[name] = value.astimezone(UTC)
            except OverflowError as error:
                raise invalid(FieldError(name, "this time is outside of the calendar")) from error
    return msgspec.structs.replace(record, **times)
