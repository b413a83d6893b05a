"""The memory that the Valkey of `muster up` may take: a full one refuses writes, one without a bound is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "VALKEY_MEMORY_MB"

LEAST_MB = 64

_MIB = 1_048_576


def valkey_memory_bytes(environ: Mapping[str, str], machine_bytes: int) -> int:
    """Return the bound in bytes; raise `StackError` for a setting that is none.

    Without a setting it is half of what the machine has: while Valkey rewrites its file, pages that change are there
    twice, and PostgreSQL and the services live beside it.
    """
    given = environ.get(VARIABLE)
    if not given:
        return max(machine_bytes // 2, LEAST_MB * _MIB)
    if not (given.isascii() and given.isdecimal() and int(given) >= LEAST_MB):
        raise StackError(f"{VARIABLE}: a whole number of MiB, at least {LEAST_MB}, is needed")
    return int(given) * _MIB
