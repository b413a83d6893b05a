"""Undoing one change of a record by a new one: later edits of other fields stay, those of the same fields forbid it."""

from collections.abc import Iterable, Sequence

import asyncpg
import msgspec

from services.api.conditions import WriteTerms
from services.api.records.history import altered, is_known_before, states_of
from services.api.records.writer import ATTEMPTS, RecordWriter, Written, let_others_pass
from services.api.repetition import FirstResult
from shared.errors import Conflict, NotFound, Overloaded
from shared.io.changelog.read import LogReader
from shared.io.database.journal import Step, changed_since, steps_of
from shared.io.problem import FieldError, HttpError
from shared.names import Topic, is_id
from shared.operation import Draft, DraftAction, Operation
from shared.resources import Resource
from shared.topic import Record


def undo(resource: Resource, step: Step, current: Record | None, changed_again: Sequence[str]) -> Draft:
    """Return the change that undoes one of a record, which is `current` now, None when it is no more.

    `changed_again` are the fields that are known to have been altered since. Raises NotFound when it is not known any
    more what was before, and HttpError: 409 when the record has changed so that undoing would take another change
    along, 422 when the change is not one that people can make.
    """
    if not is_known_before(step):
        raise NotFound("the journal does not tell any more what was before this change", code="unknown_change")
    before, after = states_of(resource, step)
    fields = altered(resource, before, after)
    if not fields:
        raise HttpError(422, "nothing_to_revert", "this change altered nothing")
    _require_writable(resource, fields, is_whole=before is None or after is None)
    if after is None:
        if current is not None:
            raise HttpError(409, "changed_since", "the record is there again")
        return _put(resource, step.event.record_id, before, None)
    if current is None:
        raise HttpError(409, "changed_since", "the record was deleted since")
    now = msgspec.json.decode(current.data, type=resource.model)
    lost = [name for name in fields if name in changed_again or getattr(now, name) != getattr(after, name)]
    if lost:
        errors = [FieldError(name, "was changed again since") for name in lost]
        raise HttpError(409, "changed_since", f"changed again since: {', '.join(lost)}", errors=errors)
    if before is None:
        return Draft(id=current.id, action="delete", expect=current.version, unique=resource.given_up)
    wanted = msgspec.structs.replace(now, **{name: field.before for name, field in fields.items()})
    return _put(resource, current.id, wanted, current.version)


def _require_writable(resource: Resource, fields: Iterable[str], *, is_whole: bool) -> None:
    if is_whole and not resource.deletable:
        detail = f"{resource.name} come and go with their agents, whose credentials would not come back"
        raise HttpError(422, "not_revertible", detail)
    closed = [name for name in fields if name not in resource.editable]
    if closed:
        errors = [FieldError(name, "is not written by people") for name in closed]
        raise HttpError(422, "not_revertible", f"not written by people: {', '.join(closed)}", errors=errors)


def _put(resource: Resource, record_id: str, record: msgspec.Struct | None, version: int | None) -> Draft:
    """Return the draft that gives an existing record, or a new one without a version, these fields."""
    data = msgspec.json.encode(record)
    action: DraftAction = "create" if version is None else "update"
    return Draft(id=record_id, action=action, data=data, expect=version, unique=resource.claims(data))


class Reverter:
    """Undoes changes of records."""

    def __init__(self, pool: asyncpg.Pool, reader: LogReader, writer: RecordWriter) -> None:
        self._pool = pool
        self._reader = reader
        self._writer = writer

    async def revert(self, resource: Resource, record_id: str, version: int, terms: WriteTerms) -> Written:
        """Undo the change of a record that led to a version; without records, it was undone by deleting the record.

        Raises NotFound when the journal has no such change, what `undo` raises, Conflict when `terms` name another
        version of the record, AlreadyExists when an earlier value is another record's now, Overloaded, and what
        `RecordWriter.append` raises.
        """
        topic = Topic(terms.workspace_id, resource.name)
        if not is_id(record_id):
            raise NotFound(f"there is no {record_id!r} among the {topic.resource}")
        return await self._writer.once(
            terms,
            lambda: self._revert(resource, topic, record_id, version, terms),
            lambda first: self._as_before(topic, record_id, first, terms),
        )

    async def _revert(
        self, resource: Resource, topic: Topic, record_id: str, version: int, terms: WriteTerms
    ) -> Written:
        for _ in range(ATTEMPTS):
            draft = await self._draft(resource, topic, record_id, version, terms)
            operation = Operation(
                topic=topic, drafts=(draft,), actor=terms.actor, id=terms.operation_id, origin=terms.origin
            )
            try:
                appended, committed = await self._writer.append([operation], terms)
            except (Conflict, NotFound):  # somebody was faster: whether it can still be undone is to be seen
                await let_others_pass()
                continue
            assert appended.position is not None  # noqa: S101  (there was something to append)
            if appended.repeated:
                first = FirstResult(appended.position, appended.version)
                return await self._as_before(topic, record_id, first, terms)
            left = () if draft.action == "delete" else (Record(record_id, appended.version, draft.data),)
            return Written(left, appended.position.epoch, appended.version, committed)
        raise Overloaded("others change this all the time")

    async def _draft(self, resource: Resource, topic: Topic, record_id: str, version: int, terms: WriteTerms) -> Draft:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            steps = await steps_of(connection, topic, record_id, upto_id=version, limit=1)
            changed_again = await changed_since(connection, topic, record_id, version, resource.columns)
        if not steps or steps[0].event.id != version:
            message = f"the journal has no change of {record_id} to version {version}"
            raise NotFound(message, code="unknown_change")
        # what is read last is what the new change is made for: nothing can come between unseen
        current = (await self._reader.records(topic, [record_id])).get(record_id)
        if current is not None:
            terms.require(current.version)
        elif terms.versions is not None:
            raise Conflict("the record is no more")
        return undo(resource, steps[0], current, changed_again)

    async def _as_before(self, topic: Topic, record_id: str, first: FirstResult, terms: WriteTerms) -> Written:
        """Answer a repeated request: with the record as it is now, when what was done is committed."""
        committed = await self._writer.committed(first.position, terms)
        records = await self._reader.records(topic, [record_id])
        return Written(tuple(records.values()), first.position.epoch, first.version, committed)
