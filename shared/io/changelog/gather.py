"""Gathers neighbouring operations into one change set, and tells each its own result afterwards. Pure."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

from shared.io.changelog.script import Rejection
from shared.operation import Appended, Operation


class Group:
    """Neighbouring operations, by their index in a batch, that go into the log as one."""

    def __init__(self, index: int, operation: Operation) -> None:
        self._indexes = [index]
        self._operations = [operation]

    def takes(self, operation: Operation) -> bool:
        """Whether `operation` may join: none has an id, and they agree in all that a change set says once."""
        first = self._operations[0]
        return (
            not (first.id or operation.id)
            and first.topic == operation.topic
            and first.actor == operation.actor
            and first.parent == operation.parent
            and first.origin == operation.origin
        )

    def add(self, index: int, operation: Operation) -> None:
        """Let an operation join that `takes` accepted."""
        self._indexes.append(index)
        self._operations.append(operation)

    @property
    def operation(self) -> Operation:
        """All members as one operation."""
        first, *others = self._operations
        if not others:
            return first
        return Operation(
            topic=first.topic,
            actor=first.actor,
            parent=first.parent,
            origin=first.origin,
            drafts=tuple(chain.from_iterable([operation.drafts for operation in self._operations])),
            deadlines=tuple(chain.from_iterable([operation.deadlines for operation in self._operations])),
        )

    def split(self, result: Appended | Rejection) -> Iterator[tuple[int, Appended | Rejection]]:
        """Yield each member's index in the batch with its own part of the result."""
        if isinstance(result, Rejection) or len(self._indexes) == 1 or not (result.failures or result.absent):
            yield from zip(self._indexes, repeat(result), strict=False)
            return
        first = 0
        for index, operation in zip(self._indexes, self._operations, strict=True):
            after = first + len(operation.drafts)
            members = {deadline.member for deadline in operation.deadlines}
            yield (
                index,
                Appended(
                    position=result.position,
                    prev=result.prev,
                    version=result.version,
                    failures={i - first: f for i, f in result.failures.items() if first <= i < after},
                    absent=tuple(member for member in result.absent if member in members),
                ),
            )
            first = after


def gather(operations: Sequence[Operation]) -> list[Group]:
    """Put neighbours that may share a change set into one group; the order stays."""
    groups: list[Group] = []
    for index, operation in enumerate(operations):
        if groups and groups[-1].takes(operation):
            groups[-1].add(index, operation)
        else:
            groups.append(Group(index, operation))
    return groups
