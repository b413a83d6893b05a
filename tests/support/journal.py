"""A topic whose changes are committed as by the worker, beside a model of what the journal must tell of it."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from asyncpg import Connection

from services.worker.commit import Committer
from services.worker.projection import project
from shared.change import Action, Change, ChangeSet
from shared.names import Topic, partition_of
from shared.position import Position

Fate = Literal["put", "delete", "aside"]
"""What becomes of a change: `aside` is one that PostgreSQL cannot store, so that it happens in the hot state only."""

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

State = dict[str, int]
"""The version of each record."""


class ModelEvent(NamedTuple):
    """An event that the journal has, or had."""

    id: int
    record_id: str
    type: str
    at: dt.datetime


def tag(version: int) -> dict[str, object]:
    """Return the record that a change to this version leaves."""
    return {"name": f"at {version}", "color": "", "position": version % 2}


class JournalledTopic:
    """`states[n]` is what PostgreSQL held at version n, `events` every event there ever was."""

    def __init__(self, connection: Connection, topic: Topic) -> None:
        self.topic = topic
        self.states: list[State] = [{}]
        self.events: list[ModelEvent] = []
        self._hot: set[str] = set()
        self._seq = 0
        partition = partition_of(topic.workspace_id)
        self._committer = Committer(connection, partition)
        self._connection = connection

    @property
    def version(self) -> int:
        """Where the topic stands."""
        return len(self.states) - 1

    async def commit(self, changes: Sequence[tuple[str, Fate]], at: dt.datetime) -> None:
        """Commit a change set that was appended at this moment."""
        prev = self.version
        stored = tuple(change for each in changes if (change := self._change(*each, at)) is not None)
        self._seq += 1
        entry = ChangeSet(
            Position(1, self._seq), self.topic, prev, self.version, round(at.timestamp() * 1000), "u_1", "", stored
        )
        async with self._connection.transaction():
            await self._committer.save(project([entry]))

    def _change(self, record_id: str, fate: Fate, at: dt.datetime) -> Change | None:
        version, state = self.version + 1, dict(self.states[-1])
        action: Action = "deleted" if fate == "delete" else "updated" if record_id in self._hot else "created"
        if fate == "delete":
            self._hot.discard(record_id)
        else:
            self._hot.add(record_id)
        if fate == "aside":
            self.states.append(state)
            return None
        data = None
        if fate == "delete":
            state.pop(record_id, None)
        else:
            state[record_id] = version
            data = msgspec.Raw(json.dumps(tag(version)).encode())
        self.states.append(state)
        event_type = {"created": "add", "updated": "update", "deleted": "delete"}[action]
        self.events.append(ModelEvent(version, record_id, event_type, at))
        return Change(record_id, action, version, data)
