"""Reading the journal: what happened after an event, what happened to a record, how a topic was at a version.

Each answer is of one moment: one statement, or one snapshot of the database.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

import msgspec
from asyncpg import Connection, Pool

from shared.errors import MustRefetch
from shared.io.database.past import require_version
from shared.io.database.queries import queries
from shared.io.database.records import read_records
from shared.journal import EventType
from shared.names import Topic
from shared.topic import Record

_SQL = queries("journal")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal holds of one change: `id` is the topic's version after it, `payload` see `shared.journal`."""

    id: int
    record_id: str
    type: EventType
    payload: bytes
    actor: str
    at: datetime


class Replay(msgspec.Struct, frozen=True):
    """The first events after an id, in order, and the version at which the topic stands."""

    events: tuple[Event, ...]
    version: int


class Step(msgspec.Struct, frozen=True):
    """An event of a record, and the one before it; None where there is none, or none any more."""

    event: Event
    before: Event | None


async def events_since(connection: Connection | Pool, topic: Topic, after_id: int, limit: int) -> Replay:
    """Return the first `limit` events of a topic after an id.

    Ids may be missing: what PostgreSQL could not store has no event. Raises MustRefetch for an id that the journal does
    not reach any more, or that is yet to be given out.
    """
    rows = [
        row
        async for row in _SQL.events_since(
            connection,
            workspace_id=topic.workspace_id,
            topic=topic.resource,
            after_id=after_id,
            max_events=limit,
        )
    ]
    version, floor = rows[0]["version"], rows[0]["journal_floor"]
    if not floor <= after_id <= version:
        raise MustRefetch(f"the journal of {topic.resource} goes from {floor} to {version}; {after_id} is outside")
    return Replay(tuple(_event(row) for row in rows if row["id"] is not None), version)


async def steps_of(
    connection: Connection | Pool, topic: Topic, record_id: str, *, upto_id: int, limit: int
) -> list[Step]:
    """Return the newest events of a record up to an id, newest first, each with the one before it."""
    rows = [
        _event(row)
        async for row in _SQL.record_events(
            connection,
            workspace_id=topic.workspace_id,
            topic=topic.resource,
            record_id=record_id,
            upto_id=upto_id,
            max_events=limit + 1,
        )
    ]
    return [Step(event, before) for event, before in zip_longest(rows, rows[1:])][:limit]


async def changed_since(
    connection: Connection | Pool, topic: Topic, record_id: str, after_id: int, fields: Sequence[str]
) -> list[str]:
    """Return those of the fields of a record that were altered after this event of it."""
    rows = _SQL.changed_since(
        connection,
        workspace_id=topic.workspace_id,
        topic=topic.resource,
        record_id=record_id,
        after_id=after_id,
        fields=fields,
    )
    return [row["field"] async for row in rows]


async def state_at(connection: Connection, topic: Topic, version: int) -> list[Record]:
    """Return the records of a topic as they were at a version.

    Raises MustRefetch for one that the journal does not reach any more, Rejected for one that is yet to come.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await require_version(connection, topic, version)
        return await read_records(connection, topic, at_version=version)


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        id=row["id"],
        record_id=row["record_id"],
        type=row["event_type"],
        payload=row["payload"],
        actor=row["actor"],
        at=row["created_at"],
    )
