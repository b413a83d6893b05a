"""What machines are made of: whether an inventory can be kept, and how it differs from the one before. Pure."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from services.ingest.messages import MAX_INVENTORY_BYTES, MAX_INVENTORY_DEPTH, Handshake
from shared.errors import Rejected
from shared.validation import is_deeper_than

PASSING = frozenset({"boot_time", "packages"})
"""What changes without the machine becoming another one."""

_LARGEST = 2**63
_MISSING = object()

Difference = dict[str, list[Any]]
"""Of each field that differs, what it was and what it is; null where it was not, or is not, there."""


class Facts(msgspec.Struct, frozen=True):
    """What an agent says of its machine."""

    os: dict[str, Any]
    inventory: dict[str, Any]

    @property
    def digest(self) -> bytes:
        """What tells these facts from all others."""
        return sha256(msgspec.json.encode(self, order="deterministic")).digest()

    @property
    def lasting(self) -> dict[str, Any]:
        """The key facts by their fields: those of the system, such as `os.kernel`, and those of the inventory."""
        system = {f"os.{name}": value for name, value in self.os.items()}
        return system | {name: value for name, value in self.inventory.items() if name not in PASSING}


def facts_of(handshake: Handshake) -> Facts:
    """Return the facts that a handshake tells; raises Rejected, which names the field that cannot be kept."""
    # the size first: it is found out faster than the rest, which takes its time for each value
    size = len(msgspec.json.encode(handshake.inventory))
    if size > MAX_INVENTORY_BYTES:
        message = f"it has {size:,} bytes, at most {MAX_INVENTORY_BYTES:,} are kept"
        raise Rejected(message, code="invalid_inventory", field="inventory")
    if is_deeper_than(handshake.inventory, MAX_INVENTORY_DEPTH):
        message = f"it is nested more than {MAX_INVENTORY_DEPTH} deep"
        raise Rejected(message, code="invalid_inventory", field="inventory")
    for fault_field, message in _faults(handshake.inventory, "inventory"):
        raise Rejected(message, code="invalid_inventory", field=fault_field)
    return Facts(msgspec.to_builtins(handshake.os), handshake.inventory)


def difference(before: Facts | None, after: Facts) -> Difference:
    """Return in which key facts two inventories differ; all of them do from none."""
    old, new = before.lasting if before else {}, after.lasting
    differing = (name for name in {**old, **new} if old.get(name, _MISSING) != new.get(name, _MISSING))
    return {name: [old.get(name), new.get(name)] for name in sorted(differing)}


def _faults(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield what PostgreSQL cannot keep, with its path."""
    match value:
        case dict():
            if any("\0" in name for name in value):
                yield path, "it has a field whose name has the character NUL"
            for name, each in value.items():
                yield from _faults(each, f"{path}.{name}")
        case list():
            for place, each in enumerate(value):
                yield from _faults(each, f"{path}[{place}]")
        case str() if "\0" in value:
            yield path, "it has the character NUL"
        case int() if not -_LARGEST <= value < _LARGEST:
            yield path, "it is too large a number"
