"""Tells what is wrong with a body: no JSON at all, or JSON with a value that cannot be, and which. Pure."""

import msgspec

from shared.errors import Malformed, Rejected
from shared.validation import UNREADABLE, fault_in, require_json


def fault_of(body: bytes | msgspec.Raw, error: Exception, *, code: str) -> Malformed | Rejected:
    """Return what to answer to a body with which decoding ended in `error`, one of UNREADABLE.

    A value of the wrong type is Rejected with `code` and the field's path, unless what comes after it is no JSON.
    """
    if not isinstance(error, msgspec.ValidationError):
        return not_json(error)
    try:
        require_json(body)
    except msgspec.ValidationError:
        pass
    except UNREADABLE as later:
        return not_json(later)
    field, message = fault_in(error)
    return Rejected(message, code=code, field=field or None)


def not_json(error: Exception) -> Malformed:
    """Return what to answer to a body that is no JSON."""
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Malformed(f"this is not JSON that is taken here: {reason}")
