"""Tells samples apart that came together, as a JSON array or as lines; never more of them than are taken. Pure."""

import io

import msgspec

from shared.errors import MusterError

MAX_SAMPLES = 1000
"""How many samples one request may carry."""

MAX_LINES = 2 * MAX_SAMPLES
"""How many lines one request may have, empty ones among them."""


class TooManySamples(MusterError):
    """There are more than `MAX_SAMPLES`: send them in parts."""

    code = "too_many_samples"

    def __init__(self, message: str = f"more than {MAX_SAMPLES} samples in one request") -> None:
        super().__init__(message)


ITEMS = msgspec.defstruct(
    "Items", [(f"item_{place}", msgspec.Raw, msgspec.Raw()) for place in range(MAX_SAMPLES + 1)], array_like=True
)
"""An array of which the first items are kept and the others only read over: what a list of all would cost is up to
whoever sent it, two bytes of a body for each hundred here."""

_decode = msgspec.json.Decoder(ITEMS).decode


def items_of(body: bytes) -> list[msgspec.Raw]:
    """Return the items of a JSON array as they are; raises msgspec.DecodeError, RecursionError and TooManySamples."""
    return items_in(_decode(body))


def items_in(decoded: msgspec.Struct) -> list[msgspec.Raw]:
    """Return what there is in one of ITEMS; raises TooManySamples."""
    items = [item for item in msgspec.structs.astuple(decoded) if bytes(item)]
    if len(items) > MAX_SAMPLES:
        raise TooManySamples
    return items


def lines_of(body: bytes) -> list[msgspec.Raw]:
    """Return the lines that are not empty, to be JSON each; raises TooManySamples."""
    if body.count(b"\n") > MAX_LINES:
        raise TooManySamples(f"more than {MAX_LINES} lines in one request")
    lines = [msgspec.Raw(line) for line in map(bytes.strip, io.BytesIO(body)) if line]
    if len(lines) > MAX_SAMPLES:
        raise TooManySamples
    return lines
