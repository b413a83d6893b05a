"""What happened to a record: its changes, newest first, each with the fields that it altered."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import asyncpg
import msgspec
import structlog

from services.api.records.cursor import Cursor, decode_cursor, encode_cursor
from shared.change import Action
from shared.errors import NotFound
from shared.io.database.journal import Event, Step, steps_of
from shared.io.database.records import UNREADABLE
from shared.io.problem import bad_parameter
from shared.journal import EVENT_TYPES
from shared.names import Topic, is_id
from shared.resources import Resource
from shared.resources.declaration import Time

log = structlog.get_logger(__name__)

ACTIONS: dict[str, Action] = {event_type: action for action, event_type in EVENT_TYPES.items()}
_ORDER = "-version"
_NEWEST_POSSIBLE = 2**63 - 1


class FieldChange(msgspec.Struct, frozen=True):
    """The values of a field before and after a change; null where there was no record."""

    before: Any
    after: Any


@cache
def change_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of one change of a record.

    `data` is the record after it, null when it was deleted. `fields` is null where it is not known any more what was
    before.
    """
    return msgspec.defstruct(
        f"{resource.model.__name__}Change",
        [
            ("version", int),
            ("action", Action),
            ("actor", str),
            ("at", Time),
            ("data", resource.model | None),
            ("fields", dict[str, FieldChange] | None),
        ],
        kw_only=True,
    )


@cache
def history_type(resource: Resource) -> type[msgspec.Struct]:
    """Return the type of a part of a record's history."""
    return msgspec.defstruct(
        f"{resource.model.__name__}History",
        [("items", list[change_type(resource)]), ("next_cursor", str | None)],  # type: ignore[misc]  # the type is made at run time
    )


class History:
    """Reads what happened to records."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(
        self, resource: Resource, workspace_id: str, record_id: str, *, limit: int, cursor: str | None
    ) -> msgspec.Struct:
        """Return a part of a record's history, of the type `history_type`; also of a record that is no more.

        Raises NotFound when the journal knows nothing of the record, and HttpError (400) for a wrong cursor.
        """
        topic = Topic(workspace_id, resource.name)
        if not is_id(record_id):
            raise NotFound(f"there is no {record_id!r} among the {topic.resource}")
        upto = _NEWEST_POSSIBLE if cursor is None else _read_cursor(cursor, record_id)
        steps = await steps_of(self._pool, topic, record_id, upto_id=upto, limit=limit + 1)
        if not steps and cursor is None:
            raise NotFound(f"nothing is known of {record_id!r} among the {topic.resource}")
        following = None
        if len(steps) > limit:
            following = encode_cursor(Cursor(_ORDER, steps[limit].event.id, record_id))
        return history_type(resource)(list(_described(resource, steps[:limit])), following)


def _read_cursor(text: str, record_id: str) -> int:
    try:
        cursor = decode_cursor(text, _ORDER, int)
        reason = None if cursor.id == record_id and 0 <= cursor.value <= _NEWEST_POSSIBLE else "it is of another record"
    except ValueError as error:
        reason = str(error)
    if reason is not None:
        raise bad_parameter("cursor", reason)
    return int(cursor.value)


def _described(resource: Resource, steps: Iterable[Step]) -> Iterable[msgspec.Struct]:
    """Yield the changes; one whose record the model does not accept is left out, counted and logged."""
    for step in steps:
        try:
            before, after = states_of(resource, step)
        except msgspec.ValidationError as error:
            UNREADABLE.labels(resource.name).inc()
            log.error("event cannot be read", topic=resource.name, id=step.event.id, reason=str(error))  # noqa: TRY400  (the reason says it all)
            continue
        event = step.event
        yield change_type(resource)(
            version=event.id,
            action=ACTIONS[event.type],
            actor=event.actor,
            at=event.at,
            data=after,
            fields=altered(resource, before, after) if is_known_before(step) else None,
        )


def is_known_before(step: Step) -> bool:
    """Whether the journal still tells what was before a change."""
    return step.before is not None or step.event.type == "add"


def states_of(resource: Resource, step: Step) -> tuple[msgspec.Struct | None, msgspec.Struct | None]:
    """Return the record before a change and after it, None where there was none; raises msgspec.ValidationError."""
    return None if step.before is None else _record(resource, step.before), _record(resource, step.event)


def _record(resource: Resource, event: Event) -> msgspec.Struct | None:
    return None if event.type == "delete" else msgspec.json.decode(event.payload, type=resource.model)


def altered(resource: Resource, before: msgspec.Struct | None, after: msgspec.Struct | None) -> dict[str, FieldChange]:
    """Return the fields that differ."""
    pairs = ((name, getattr(before, name, None), getattr(after, name, None)) for name in resource.columns)
    return {name: FieldChange(old, new) for name, old, new in pairs if old != new}
