"""The append script: its text for a partition and an epoch, its call, its answer."""

from collections.abc import Sequence
from functools import lru_cache, reduce
from hashlib import sha1
from importlib.resources import files
from typing import Any

import msgspec

from shared.operation import Appended, Draft, Failure, Operation, outlives_call
from shared.position import Position

OPERATION_MEMORY_MS = 24 * 3600 * 1000
"""How long an operation id gives its first result again."""
CALL_MEMORY_MS = 120 * 1000
"""How long that of an operation does that only its call repeats: agents make many, and calls end within seconds."""

_APPEND = files(__package__).joinpath("append.lua").read_text()
OPEN = files(__package__).joinpath("open.lua").read_text()
"""The script that opens an epoch."""
SEAL = files(__package__).joinpath("seal.lua").read_text()
"""The script that closes the log for a guardian."""
REMEMBER = files(__package__).joinpath("remember.lua").read_text()
"""The script that sets the results of operations for an epoch to come."""
MAX_ENTRIES = 1_000_000
"""A log that waits for so many entries to be applied accepts no more."""


@lru_cache(maxsize=256)
def append_script(partition: int, epoch: int) -> tuple[str, str]:
    """Return the text and the SHA-1 (by which Redis calls it) of the append script of one epoch of a partition."""
    values = {"@PARTITION@": partition, "@EPOCH@": epoch, "@MAX_ENTRIES@": MAX_ENTRIES}
    text = reduce(lambda script, item: script.replace(item[0], str(item[1])), values.items(), _APPEND)
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


def encode_call(operations: Sequence[Operation]) -> list[str | bytes | int]:
    """Return the ARGV of the append script for these operations, in the order that the script reads it."""
    arguments: list[str | bytes | int] = [len(operations)]
    for operation in operations:
        parent = str(operation.parent) if operation.parent else ""
        origin = str(operation.origin) if operation.origin else ""
        start = operation.start
        begun = f"{start.topic}:{start.server_id} {start.boot_id}" if start else ""
        memory_ms = OPERATION_MEMORY_MS if outlives_call(operation.id) else CALL_MEMORY_MS
        arguments += (str(operation.topic), operation.id, memory_ms, operation.actor, origin, parent, begun)
        arguments.append(len(operation.deadlines))
        for deadline in operation.deadlines:
            arguments += (deadline.kind, deadline.member, deadline.value)
        arguments.append(len(operation.drafts))
        _encode_drafts(operation.drafts, arguments)
    return arguments


def _encode_drafts(drafts: Sequence[Draft], arguments: list[str | bytes | int]) -> None:
    """Append the arguments of each draft; neighbouring samples of one start of an agent share what they agree in."""
    run: tuple[str, str] | None = None
    count_at = 0
    for draft in drafts:
        if draft.sample is None:
            run = None
            expect = "" if draft.expect is None else draft.expect
            arguments += (draft.action, draft.id, expect, draft.data, len(draft.unique))
            for claim in draft.unique:
                arguments += claim
            continue
        if draft.action != "put" or draft.expect is not None or draft.unique:
            raise ValueError("a sample is an unconditional put without claims")
        boot_id, seq = draft.sample
        if (draft.id, boot_id) != run:
            run = (draft.id, boot_id)
            arguments += ("samples", draft.id, boot_id, 0)
            count_at = len(arguments) - 1
        arguments[count_at] += 1  # type: ignore[operator]  # the number set above
        arguments += (seq, draft.data)


class Rejection(msgspec.Struct, frozen=True):
    """All of an operation was refused, because of the draft with this index."""

    index: int
    failure: Failure


def decode_result(reply: Sequence[Any]) -> Appended | Rejection:
    """Turn the script's answer for one operation into its result."""
    kind, position, prev, version, flat_failures, absent = reply
    failures = {
        int(flat_failures[i]): Failure(flat_failures[i + 1].decode(), flat_failures[i + 2].decode())
        for i in range(0, len(flat_failures), 3)
    }
    if kind == b"rejected":
        index, failure = next(iter(failures.items()))
        return Rejection(index, failure)
    return Appended(
        position=Position.parse(position) if position else None,
        prev=int(prev),
        version=int(version),
        failures=failures,
        absent=tuple(member.decode() for member in absent),
        repeated=kind == b"repeated",
    )
