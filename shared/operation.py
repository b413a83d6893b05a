"""What a producer asks of the change log: operations made of drafts, and what became of them."""

from typing import Literal

import msgspec

from shared.audit import Origin
from shared.names import Topic
from shared.position import Position

DraftAction = Literal["create", "update", "put", "delete"]
"""`create` wants no such record, `update` and `delete` want one, `put` takes either."""


CALL = "call"
"""The prefix of the id of an operation that nobody repeats but the call which appends it."""


def outlives_call(operation_id: str) -> bool:
    """Whether an operation may be repeated later, and by others than the call that appends it."""
    return not operation_id.startswith(f"{CALL}_")


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One intended change of a record.

    `data` is the whole record as JSON, empty for a deletion. `expect` makes it conditional on the record's version.
    `unique` claims `(field, value)` pairs; an empty value gives the record's earlier one up.
    `sample` is `(boot_id, seq)` of an agent's sample, `("", 0)` of one that has none: one that was taken in before is a
    duplicate, and a late one goes into history alone. It is a `put`, unconditional and without claims.
    """

    id: str
    action: DraftAction
    data: bytes = b""
    expect: int | None = None
    unique: tuple[tuple[str, str], ...] = ()
    sample: tuple[str, int] | None = None


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """An effect on a server's offline deadline, in the same step as the append.

    `arm` sets it `value` ms from now; `touch` does so only where one is set, and reports the member as absent
    otherwise; `drop` removes it; `expire` removes it provided that it is still `value` (ms since 1970) and has
    passed: otherwise the operation is rejected with `not_due`.
    """

    kind: Literal["arm", "touch", "drop", "expire"]
    member: str
    value: int = 0


class Start(msgspec.Struct, frozen=True):
    """A start of an agent that shook hands: what it measures from now on is the latest of its server's record."""

    topic: Topic
    server_id: str
    boot_id: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of one topic that a producer wants appended together.

    An operation with an `id` is all or nothing and happens once: repeating it gives the first result again.
    One whose id is a `new_id(CALL)` is remembered for minutes, and not beyond its epoch: it must bear to happen again.
    Without an id each draft stands alone, and the operation may be merged with others into one change set.
    `parent` names a topic in which a record of the draft's id must exist. `origin` says from where a person asked for
    it: what has one is audited. `start` begins a start of an agent; an operation that has one has an id.
    """

    topic: Topic
    drafts: tuple[Draft, ...]
    actor: str
    id: str = ""
    parent: Topic | None = None
    deadlines: tuple[Deadline, ...] = ()
    origin: Origin | None = None
    start: Start | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why a draft was not taken: a code, and what it concerns (a version or a field's name)."""

    code: Literal["version_conflict", "already_exists", "not_found", "not_unique", "duplicate", "orphan", "not_due"]
    detail: str = ""


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an operation: versions `prev + 1 … version` stand at `position`; late samples have none.

    `position` is None when there was nothing to append. `failures` are by the index of the draft; `absent` lists the
    members whose deadline was to be touched and is not set.
    """

    position: Position | None
    prev: int
    version: int
    failures: dict[int, Failure] = {}
    absent: tuple[str, ...] = ()
    repeated: bool = False
