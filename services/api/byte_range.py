"""Which bytes of a file a request asks for (RFC 9110, section 14). Pure."""

import re

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class Unsatisfiable(Exception):
    """The range lies behind the end of the file."""


def byte_range(header: str | None, size_bytes: int) -> range | None:
    """Return the bytes of a `Range` header with one range; None for the whole file, also for a header of another form.

    Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        wanted = min(int(match[2]), size_bytes)
        if wanted == 0:
            raise Unsatisfiable
        return range(size_bytes - wanted, size_bytes)
    first = int(match[1])
    last = min(int(match[2]), size_bytes - 1) if match[2] else size_bytes - 1
    if match[2] and int(match[2]) < first:
        return None
    if first >= size_bytes:
        raise Unsatisfiable
    return range(first, last + 1)
