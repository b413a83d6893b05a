"""Changes that PostgreSQL cannot store: found by bisection, put aside, and undone in the hot state.

The fault is the record's (SQLSTATE classes 22 and 23, or a sample that cannot be read), so that no retry can help and
nothing behind it may wait.
"""

from collections.abc import Sequence

import asyncpg
import msgspec
import structlog
from asyncpg import Connection

from services.worker.commit import Committer
from services.worker.projection import project
from shared.change import Change, ChangeSet
from shared.errors import AlreadyExists, Conflict, NotFound
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.guardian import Checkpoint
from shared.io.database.queries import queries
from shared.io.database.records import read_records
from shared.io.telemetry import Counter
from shared.names import Topic, partition_of
from shared.operation import Draft, Operation
from shared.resources import RESOURCES

log = structlog.get_logger(__name__)
_SQL = queries("applier")
_SLICE = 100
_DEAD_LETTERS = Counter("muster_dead_letters_total", "Changes that PostgreSQL could not store", ["resource"])


def poison_code(error: Exception) -> str | None:
    """Return the SQLSTATE of an error that is the record's own fault, else None."""
    if isinstance(error, msgspec.DecodeError | UnicodeError):
        return "22000"
    code = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    if isinstance(error, asyncpg.DataError) and code is None:
        return "22000"  # asyncpg itself found that a value does not fit its column
    return code if code is not None and code[:2] in {"22", "23"} else None


async def commit_around(
    committer: Committer, connection: Connection, checkpoint: Checkpoint, entries: Sequence[ChangeSet]
) -> Checkpoint:
    """Commit entries of which at least one is poison: halve until it is alone, and put it aside."""
    try:
        return await committer.commit(checkpoint, entries)
    except Exception as error:
        code, reason = poison_code(error), str(error)
        if code is None:
            raise
    if len(entries) == 1 and entries[0].operation:
        return await _put_operation_aside(committer, connection, checkpoint, entries[0], code, reason)
    if len(entries) == 1:
        return await _commit_change_by_change(committer, connection, checkpoint, entries[0])
    half = len(entries) // 2
    checkpoint = await commit_around(committer, connection, checkpoint, entries[:half])
    return await commit_around(committer, connection, checkpoint, entries[half:])


async def _put_operation_aside(  # noqa: PLR0913, PLR0917  (what failed, where, and why)
    committer: Committer, connection: Connection, checkpoint: Checkpoint, entry: ChangeSet, code: str, reason: str
) -> Checkpoint:
    """Store nothing of an operation: it is all or nothing."""
    async with connection.transaction():
        after = await committer.advance(checkpoint, entry.position)
        await committer.save(project([msgspec.structs.replace(entry, changes=(), late=())]))
        for change in entry.changes:
            await _put_aside(connection, entry, change, code, reason)
        await _SQL.reject_operation(connection, id=entry.operation, code="not_storable")
    return after


async def _commit_change_by_change(
    committer: Committer, connection: Connection, checkpoint: Checkpoint, entry: ChangeSet
) -> Checkpoint:
    async with connection.transaction():
        after = await committer.advance(checkpoint, entry.position)
        for change in entry.changes:
            await _commit_change(committer, connection, entry, change)
        for sample in entry.late:
            await _commit_sample(committer, connection, entry, sample)
        await committer.save(project([msgspec.structs.replace(entry, changes=(), late=())]))
    return after


async def _commit_change(committer: Committer, connection: Connection, entry: ChangeSet, change: Change) -> None:
    alone = msgspec.structs.replace(entry, changes=(change,), late=(), operation="")
    await _commit_alone(committer, connection, alone, change)


async def _commit_sample(committer: Committer, connection: Connection, entry: ChangeSet, sample: Change) -> None:
    alone = msgspec.structs.replace(entry, changes=(), late=(sample,), operation="")
    await _commit_alone(committer, connection, alone, sample)


async def _commit_alone(committer: Committer, connection: Connection, alone: ChangeSet, change: Change) -> None:
    try:
        projection = project([alone])
        async with connection.transaction():
            await committer.ensure_days(projection)
            await committer.save(projection)
    except Exception as error:
        code = poison_code(error)
        if code is None:
            raise
        await _put_aside(connection, alone, change, code, str(error))


async def _put_aside(connection: Connection, entry: ChangeSet, change: Change, code: str, reason: str) -> None:
    topic = entry.topic
    _DEAD_LETTERS.labels(topic.resource).inc()
    log.error("change put aside", topic=str(topic), record=change.id, version=change.version, code=code, reason=reason)
    await _SQL.save_dead_letter(
        connection,
        partition=partition_of(topic.workspace_id),
        epoch=entry.position.epoch,
        seq=entry.position.seq,
        workspace_id=topic.workspace_id,
        resource=topic.resource,
        record_id=change.id,
        version=change.version,
        action=change.action,
        data=None if change.data is None else bytes(change.data).decode("utf-8", "backslashreplace"),
        sqlstate=code,
        reason=reason[:1000],
    )


async def compensate(log_of_changes: ChangeLog, connection: Connection, partition: int) -> bool:
    """Put the hot state of dead letters back to what PostgreSQL holds, by changes like any other.

    A record that was written again meanwhile is left alone. Repeating it does no harm: each has an operation id.
    Returns whether there may be more of them.
    """
    pending = [row async for row in _SQL.pending_dead_letters(connection, partition=partition, limit=_SLICE)]
    for row in pending:
        topic = Topic(row["workspace_id"], row["resource"])
        if topic.resource in RESOURCES:
            draft = await _compensation(connection, topic, row["record_id"], row["version"])
            try:
                await _append_compensation(log_of_changes, topic, draft, f"dead-letter-{row['id']}")
            except (Conflict, NotFound) as error:
                log.info("dead letter needs no compensation", topic=str(topic), record=draft.id, reason=str(error))
        await _SQL.compensated(connection, id=row["id"])
    return len(pending) == _SLICE


async def _append_compensation(log_of_changes: ChangeLog, topic: Topic, draft: Draft, operation_id: str) -> None:
    """Append a change that undoes another one.

    Where another record has taken a unique value meanwhile, both have it in the end, as in PostgreSQL, and the other
    one keeps the claim to it: a person has to decide. Raises Conflict and NotFound.
    """
    while True:
        try:
            await log_of_changes.append(Operation(topic=topic, drafts=(draft,), actor="worker", id=operation_id))
        except AlreadyExists as error:
            if (error.field, "") in draft.unique:
                raise
            log.error(  # noqa: TRY400  (where it was raised says nothing)
                "two records have the same value", topic=str(topic), record=draft.id, field=error.field
            )
            unique = tuple((name, "" if name == error.field else value) for name, value in draft.unique)
            draft = msgspec.structs.replace(draft, unique=unique)
        else:
            return


async def _compensation(connection: Connection, topic: Topic, record_id: str, version: int) -> Draft:
    """Return the draft that undoes a change, provided that the record is still at its version."""
    resource = RESOURCES[topic.resource]
    stored = await read_records(connection, topic, [record_id])
    if not stored:
        return Draft(id=record_id, action="delete", expect=version, unique=resource.given_up)
    data = stored[0].data
    return Draft(id=record_id, action="put", data=data, expect=version, unique=resource.claims(data))
