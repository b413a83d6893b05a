"""Where a page of a list ended: the cursor that clients hand back, opaque to them. Pure."""

import base64
import binascii
from typing import Annotated, Any

import msgspec

from shared.names import is_id
from shared.validation import form

MAX_CHARACTERS = 2048

CursorText = Annotated[
    str, form(r"^[A-Za-z0-9_-]+$", "a cursor that was given out", min_length=1, max_length=MAX_CHARACTERS)
]
"""A cursor as clients hold it."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last record of a page: its value of the field by which the list is ordered, and its id.

    `sort` is the order, such as `-last_seen`, so that a cursor cannot be taken to a list in another one.
    """

    sort: str
    value: Any
    id: str


def encode_cursor(cursor: Cursor) -> str:
    """Return the text for clients."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode_cursor(text: str, sort: str, kind: Any) -> Cursor:  # noqa: ANN401  (any type that msgspec knows)
    """Read a cursor of a list in this order, whose values are of type `kind`; raises ValueError."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError("it is too long")
    try:
        padded = text + "=" * (-len(text) % 4)
        cursor = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Cursor)
        value = msgspec.convert(cursor.value, kind)
    except (binascii.Error, msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ValueError("it is not one that was given out") from error
    if cursor.sort != sort or not is_id(cursor.id):
        raise ValueError("it is of another list")
    return Cursor(sort, value, cursor.id)
