"""What machines are made of: whether an inventory can be kept, and how it differs from the one before. Pure."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from services.ingest.messages import Handshake
from shared.errors import Rejected

MAX_INVENTORY_BYTES = 65_536
MAX_DEPTH = 6
"""So deep lists and objects may be nested, the inventory itself included."""
MAX_NAME_CHARACTERS = 64

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
    for fault_field, message in _faults(handshake.inventory, "inventory", 1):
        raise Rejected(message, code="invalid_inventory", field=fault_field)
    facts = Facts(msgspec.to_builtins(handshake.os), handshake.inventory)
    size = len(msgspec.json.encode(facts.inventory))
    if size > MAX_INVENTORY_BYTES:
        message = f"it has {size:,} bytes, at most {MAX_INVENTORY_BYTES:,} are kept"
        raise Rejected(message, code="invalid_inventory", field="inventory")
    return facts


def difference(before: Facts | None, after: Facts) -> Difference:
    """Return in which key facts two inventories differ; all of them do from none."""
    old, new = before.lasting if before else {}, after.lasting
    differing = (name for name in {**old, **new} if old.get(name, _MISSING) != new.get(name, _MISSING))
    return {name: [old.get(name), new.get(name)] for name in sorted(differing)}


def _faults(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield what cannot be kept, with its path."""
    match value:
        case dict() | list() if depth > MAX_DEPTH:
            yield path, f"it is nested more deeply than {MAX_DEPTH} levels"
        case dict():
            yield from _faults_of_object(value, path, depth)
        case list():
            for place, each in enumerate(value):
                yield from _faults(each, f"{path}[{place}]", depth + 1)
        case str() if "\0" in value:
            yield path, "it has the character NUL"
        case int() if not -_LARGEST <= value < _LARGEST:
            yield path, "it is too large a number"


def _faults_of_object(value: Mapping[str, object], path: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, each in value.items():
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            yield path, f"it has a field whose name is not 1 to {MAX_NAME_CHARACTERS} printable characters"
        else:
            yield from _faults(each, f"{path}.{name}", depth + 1)
