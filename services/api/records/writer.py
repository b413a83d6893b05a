"""Writes records: read, change, append with the version that was read, and wait until PostgreSQL has it."""

import asyncio
import random
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

import msgspec

from services.api.conditions import WriteTerms
from services.api.repetition import FirstResult, Repetition
from shared.errors import Conflict, NotFound, Overloaded, Rejected
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.commits import CommitWaiter
from shared.names import Topic, partition_of
from shared.operation import Appended, Draft, Operation
from shared.position import Position
from shared.resources import Resource
from shared.topic import Record

ATTEMPTS = 8
"""How often an edit is tried again that lost against others, before the caller is told to come again."""

WAIT_TIMEOUT_S = 5.0
"""How long an answer waits for the log to take a change in, and then for the commit."""

_LONGEST_PAUSE_S = 0.05

_Answer = TypeVar("_Answer")

Edit = Callable[[Record], bytes | None]
"""Returns the new data of a record, None to leave it alone; raises HttpError when that cannot be."""


class Creation(msgspec.Struct, frozen=True):
    """A record to be made under an id that no other record has."""

    id: str
    data: bytes


class Change(msgspec.Struct, frozen=True):
    """An edit of a record; `version` is the only one that it is good for, None for any."""

    id: str
    edit: Edit
    version: int | None = None


class Deletion(msgspec.Struct, frozen=True):
    """A record that is to be no more; `version` likewise."""

    id: str
    version: int | None = None


Step = Creation | Change | Deletion


class Written(msgspec.Struct, frozen=True):
    """The records as they are after a write, and where their topic stands. `committed` says that PostgreSQL has it."""

    records: tuple[Record, ...]
    epoch: int
    version: int
    committed: bool


async def let_others_pass() -> None:
    """Wait a moment after an edit has lost against others, each time another one, before it is tried again."""
    await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311  (spreads retries, no secret)


def id_made_by(terms: WriteTerms, resource: Resource, index: int = 0) -> str:
    """Return the id of a new record: a repetition of the same write has to make the same one."""
    digest = sha256(f"{terms.operation_id}:{index}".encode()).digest()
    return f"{resource.prefix}_{urlsafe_b64encode(digest[:12]).decode()}"


class RecordWriter:
    """Brings changes of people into the log."""

    def __init__(
        self,
        log: ChangeLog,
        reader: LogReader,
        commits: CommitWaiter,
        repetition: Repetition,
        *,
        wait_timeout_s: float = WAIT_TIMEOUT_S,
    ) -> None:
        self._log = log
        self._reader = reader
        self._commits = commits
        self._repetition = repetition
        self._wait_timeout_s = wait_timeout_s

    async def edit(self, resource: Resource, ids: Sequence[str], edit: Edit, terms: WriteTerms) -> Written:
        """Change records alike, all or none; see `write`."""
        return await self.write(resource, [Change(record_id, edit) for record_id in ids], terms)

    async def write(self, resource: Resource, steps: Sequence[Step], terms: WriteTerms) -> Written:
        """Do all steps or none, as one change set, each with a record of its own; return the records that are left.

        An edit is of the version that was read; what it leaves alone is not appended. Raises NotFound, AlreadyExists,
        Conflict when `terms` or a step name other versions, Overloaded when others were always faster, and what
        `append` raises; `index` says which step is at fault.
        """
        topic = Topic(terms.workspace_id, resource.name)
        return await self.once(
            terms,
            lambda: self._write(resource, topic, steps, terms),
            lambda first: self._as_before(topic, steps, first, terms),
        )

    async def once(
        self,
        terms: WriteTerms,
        act: Callable[[], Awaitable[_Answer]],
        again: Callable[[FirstResult], Awaitable[_Answer]],
    ) -> _Answer:
        """Act, unless the same request did so before, or does so at the same time: then answer it again."""
        first = await self._repetition.first_result(terms)
        if first is None:
            try:
                return await act()
            except Rejected:
                first = await self._repetition.first_result(terms)
                if first is None:
                    raise
        return await again(first)

    async def _write(self, resource: Resource, topic: Topic, steps: Sequence[Step], terms: WriteTerms) -> Written:
        for _ in range(ATTEMPTS):
            before = await self._standing(topic, steps)
            drafts = _drafts(resource, steps, before, terms)
            if not drafts:
                return await self._unchanged(topic, list(before.values()), terms)
            operation = Operation(
                topic=topic,
                drafts=tuple(drafts.values()),
                actor=terms.actor,
                id=terms.operation_id,
                origin=terms.origin,
            )
            try:
                appended, committed = await self.append([operation], terms)
            except Conflict:
                await let_others_pass()
                continue
            except Rejected as error:
                error.index = list(drafts)[error.index]
                raise
            if appended.repeated:
                return await self._as_before(topic, steps, _first(appended), terms)
            return _written(steps, before, operation, appended, committed=committed)
        raise Overloaded("others change this all the time")

    async def _standing(self, topic: Topic, steps: Sequence[Step]) -> dict[str, Record]:
        """Read the records that the steps begin with; raises NotFound."""
        found = await self._reader.records(topic, [step.id for step in steps if not isinstance(step, Creation)])
        unknown = {i: s.id for i, s in enumerate(steps) if not isinstance(s, Creation) and s.id not in found}
        if unknown:
            error = _unknown(topic, list(unknown.values()))
            error.index = next(iter(unknown))
            raise error
        return found

    async def read(self, topic: Topic, ids: Sequence[str]) -> list[Record]:
        """Read the hot copy of records; raises NotFound, which names the unknown ones."""
        found = await self._reader.records(topic, ids)
        unknown = [record_id for record_id in ids if record_id not in found]
        if unknown:
            raise _unknown(topic, unknown)
        return [found[record_id] for record_id in ids]

    async def append(self, operations: Sequence[Operation], terms: WriteTerms) -> tuple[Appended, bool]:
        """Append operations in one call; return what became of the last, and whether it is committed.

        Raises Rejected when the log refuses the last one or PostgreSQL could not store it, and RetryLater.
        """
        await self._repetition.claim(terms)
        *_, result = await self._log.append_all(operations, timeout_s=self._wait_timeout_s)
        if isinstance(result, Rejected):
            raise result
        return result, await self.committed(result.position, terms)

    async def committed(self, position: Position | None, terms: WriteTerms) -> bool:
        """Wait, if the caller wants that, until the operation of `terms` is committed; False when time ran out.

        Raises Rejected when PostgreSQL could not store its records, and OperationLost.
        """
        if position is None or terms.respond_async:
            return False
        outcome = await self._commits.wait(
            partition_of(terms.workspace_id), position, terms.operation_id, timeout_s=self._wait_timeout_s
        )
        if outcome is not None and outcome.rejected:
            raise Rejected("the database cannot store this record", code=outcome.rejected)
        return outcome is not None

    async def _as_before(self, topic: Topic, steps: Sequence[Step], first: FirstResult, terms: WriteTerms) -> Written:
        """Answer a repeated request: with the records as they are now, when what it did is committed."""
        committed = await self.committed(first.position, terms)
        records = await self.read(topic, [step.id for step in steps if not isinstance(step, Deletion)])
        return Written(tuple(records), first.position.epoch, first.version, committed)

    async def _unchanged(self, topic: Topic, records: Sequence[Record], terms: WriteTerms) -> Written:
        """Answer an edit that changes nothing, when what was read is committed."""
        epoch, versions = await self._reader.versions(topic.workspace_id)
        partition = partition_of(topic.workspace_id)
        newest = await self._reader.last_position(partition)
        committed = newest is None
        if newest is not None and not terms.respond_async:
            committed = await self._commits.wait(partition, newest, timeout_s=self._wait_timeout_s) is not None
        return Written(tuple(records), epoch, versions.get(topic.resource, 0), committed)


def _unknown(topic: Topic, ids: Sequence[str]) -> NotFound:
    return NotFound(f"there is no {', '.join(ids[:20])} among the {topic.resource}")


def _first(appended: Appended) -> FirstResult:
    assert appended.position is not None  # noqa: S101  (what was repeated was appended)
    return FirstResult(appended.position, appended.version)


def _drafts(
    resource: Resource, steps: Sequence[Step], before: Mapping[str, Record], terms: WriteTerms
) -> dict[int, Draft]:
    """Return what is to be appended, by the index of its step."""
    drafts: dict[int, Draft] = {}
    for index, step in enumerate(steps):
        if isinstance(step, Creation):
            claims = resource.claims(step.data)
            drafts[index] = Draft(id=step.id, action="create", data=step.data, unique=claims)
            continue
        record = before[step.id]
        if step.version not in {None, record.version}:
            error = Conflict(f"the record is at version {record.version} now")
            error.index = index
            raise error
        terms.require(record.version)
        if isinstance(step, Deletion):
            is_conditional = step.version is not None or terms.versions is not None
            expect = record.version if is_conditional else None
            drafts[index] = Draft(id=step.id, action="delete", expect=expect, unique=resource.given_up)
        elif (data := step.edit(record)) is not None:
            claims = resource.claims(data)
            drafts[index] = Draft(id=step.id, action="update", data=data, expect=record.version, unique=claims)
    return drafts


def _written(
    steps: Sequence[Step], before: Mapping[str, Record], operation: Operation, appended: Appended, *, committed: bool
) -> Written:
    written = {
        draft.id: Record(draft.id, version, draft.data)
        for version, draft in enumerate(operation.drafts, appended.prev + 1)
    }
    left = [step.id for step in steps if not isinstance(step, Deletion)]
    records = tuple(written.get(record_id) or before[record_id] for record_id in left)
    epoch = appended.position.epoch if appended.position else 0
    return Written(records, epoch, appended.version, committed)
