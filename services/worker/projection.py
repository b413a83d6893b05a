"""From entries of the log to what PostgreSQL is told: one batch of rows for each table. Pure.

The upserts are generated from the resources' declarations and fed the producers' own JSON.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from shared.audit import Event, Origin
from shared.change import Change, ChangeSet, put_before
from shared.journal import EVENT_TYPES, payload_of
from shared.levels import EPOCH, LATE_SPAN, floor
from shared.names import Topic
from shared.operation import outlives_call
from shared.resources import METRICS, RESOURCES, Resource
from shared.resources.metrics import DETAILS, Sample


@cache
def upsert_sql(resource: Resource) -> str:
    """Return the upsert of a resource: $1 is a JSON array of rows, with `workspace_id`, `id` and `version`.

    A row whose version is not newer than the stored one is left alone, and so is what stands beside a record where a
    row has it empty.
    """
    columns = ("workspace_id", "id", "version", *resource.columns, *resource.beside)
    names = ", ".join(columns)
    updates = ", ".join(
        f"{column} = coalesce(nullif(excluded.{column}, ''), stored.{column})"
        if column in resource.beside
        else f"{column} = excluded.{column}"
        for column in columns[2:]
    )
    return (
        f"INSERT INTO {resource.name} AS stored ({names}) "  # noqa: S608  (declared names)
        f"SELECT {names} FROM jsonb_populate_recordset(NULL::{resource.name}, $1) "
        f"ON CONFLICT (workspace_id, id) DO UPDATE SET {updates} WHERE stored.version < excluded.version"
    )


@cache
def delete_sql(resource: Resource) -> str:
    """Return the deletion of a resource: $1, $2, $3 are arrays of workspace ids, ids and versions."""
    return (
        f"DELETE FROM {resource.name} AS stored "  # noqa: S608  (a declared name)
        "USING unnest($1::text[], $2::text[], $3::bigint[]) AS gone (workspace_id, id, version) "
        "WHERE (stored.workspace_id, stored.id) = (gone.workspace_id, gone.id) AND stored.version < gone.version"
    )


class Rows(msgspec.Struct):
    """What one resource's table is told."""

    upserts: bytes = b"[]"
    """A JSON array for `upsert_sql`; `[]` when there is none."""
    deletions: tuple[list[str], list[str], list[int]] = msgspec.field(default_factory=lambda: ([], [], []))


class Projection(msgspec.Struct, kw_only=True):
    """What a run of entries means for PostgreSQL."""

    tables: dict[str, Rows]
    windows: list[tuple[str, str, str]]
    """Workspace id, server id and window of each server whose record does not carry it: nothing but late samples came,
    or it began anew without one."""
    history: list[tuple[object, ...]]
    events: list[tuple[object, ...]]
    topics: list[tuple[str, str, int]]
    operations: list[tuple[str, int, int, int, int]]
    audit: list[Event]


def project(entries: Sequence[ChangeSet]) -> Projection:
    """Project entries of one partition, in order: each record to its last change, each sample to a row of history.

    Every single change of a journalled resource becomes an event.
    Raises msgspec.ValidationError for a sample that cannot be read.
    """
    last: dict[str, dict[tuple[str, str], Change]] = {}
    versions: dict[Topic, int] = {}
    windows: dict[tuple[str, str], str] = {}
    history: list[tuple[object, ...]] = []
    events: list[tuple[object, ...]] = []
    for entry in entries:
        topic = entry.topic
        versions[topic] = entry.version
        records = last.setdefault(topic.resource, {})
        for change in entry.changes:
            records[topic.workspace_id, change.id] = change
            if change.data is None and topic.resource == METRICS.name:
                windows[topic.workspace_id, change.id] = ""
        if topic.resource == METRICS.name:
            history.extend(history_rows(topic.workspace_id, entry.changes))
            history.extend(history_rows(topic.workspace_id, entry.late))
            for server_id, window in entry.windows.items():
                windows[topic.workspace_id, server_id] = window
        elif topic.resource in _JOURNALLED:
            events.extend(event_rows(entry))
    tables = {name: _rows(records) for name, records in last.items() if name in RESOURCES and name != METRICS.name}
    latest = last.get(METRICS.name, {})
    if latest:
        tables[METRICS.name] = _rows(latest, windows)
    return Projection(
        tables=tables,
        windows=[(*key, window) for key, window in windows.items() if _stands_alone(window, latest.get(key))],
        history=history,
        events=events,
        topics=[(topic.workspace_id, topic.resource, version) for topic, version in versions.items()],
        operations=[
            (entry.operation, entry.position.epoch, entry.position.seq, entry.prev, entry.version)
            for entry in entries
            if entry.operation and outlives_call(entry.operation)
        ],
        audit=[event for entry in entries if entry.origin for event in audit_events(entry, entry.origin)],
    )


def _stands_alone(window: str, latest: Change | None) -> bool:
    """Whether a window has to be stored by itself: there is no record to carry it, or it is empty."""
    return latest is None or (not window and latest.data is not None)


def _rows(records: dict[tuple[str, str], Change], windows: Mapping[tuple[str, str], str] | None = None) -> Rows:
    upserts: list[bytes] = []
    deletions: tuple[list[str], list[str], list[int]] = ([], [], [])
    for (workspace_id, record_id), change in records.items():
        if change.data is None:
            deletions[0].append(workspace_id)
            deletions[1].append(record_id)
            deletions[2].append(change.version)
        else:
            key = f'{{"workspace_id":"{workspace_id}","id":"{change.id}","version":{change.version}'
            if windows is not None:
                key += f',"sample_window":"{windows.get((workspace_id, record_id), "")}"'
            upserts.append(put_before(key, bytes(change.data)))
    return Rows(b"[%b]" % b",".join(upserts), deletions)


HISTORY_COLUMNS = (
    "workspace_id",
    "server_id",
    *(column for column in Sample.__struct_fields__ if column not in DETAILS),
    "details",
)
"""The columns of `metrics_history`, in the order of `history_rows`."""

_decode_sample = msgspec.json.Decoder(Sample).decode
_PLAIN = len(Sample.__struct_fields__) - len(DETAILS)
_NO_DETAILS = (None,) * len(DETAILS)
assert Sample.__struct_fields__[_PLAIN:] == DETAILS  # noqa: S101  (the rows below are cut there)


def history_rows(workspace_id: str, changes: Iterable[Change]) -> Iterable[tuple[object, ...]]:
    """Yield a row of history for each sample, at the sample's own time."""
    for change in changes:
        if change.data is None:
            continue
        values = msgspec.structs.astuple(_decode_sample(change.data))
        rest = values[_PLAIN:]
        yield (workspace_id, change.id, *values[:_PLAIN], _details(rest) if rest != _NO_DETAILS else None)


LATE_COLUMNS = ("workspace_id", "server_id", "bucket")
"""The columns of `metrics_late`, in the order of `late_places`."""


def late_places(history: Iterable[tuple[Any, ...]], closed_until: dt.datetime) -> set[tuple[str, str, dt.datetime]]:
    """Return where rows of history come after their buckets were closed."""
    return {(row[0], row[1], floor(row[2], LATE_SPAN)) for row in history if row[2] < closed_until}


def _details(values: tuple[object, ...]) -> bytes:
    return msgspec.json.encode({name: value for name, value in zip(DETAILS, values, strict=True) if value is not None})


_JOURNALLED = frozenset(name for name, resource in RESOURCES.items() if resource.journalled)

EVENT_COLUMNS = ("workspace_id", "topic", "id", "record_id", "event_type", "payload", "actor", "created_at")
"""The columns of `ws_events`, in the order of `event_rows`."""


def event_rows(entry: ChangeSet) -> Iterator[tuple[object, ...]]:
    """Yield a row of the journal for each change of a journalled resource."""
    topic = entry.topic
    resource = RESOURCES[topic.resource]
    at = EPOCH + dt.timedelta(milliseconds=entry.at_ms)
    for change in entry.changes:
        event_type, payload = EVENT_TYPES[change.action], payload_of(resource, change)
        yield topic.workspace_id, topic.resource, change.version, change.id, event_type, payload, entry.actor, at


def audit_events(entry: ChangeSet, origin: Origin) -> Iterator[Event]:
    """Yield what the audit log says of an entry that a person asked for: one event for each change."""
    for change in entry.changes:
        yield Event(
            workspace_id=entry.topic.workspace_id,
            at=EPOCH + dt.timedelta(milliseconds=entry.at_ms),
            actor=entry.actor,
            action=change.action,
            resource=entry.topic.resource,
            record_id=change.id,
            version=change.version,
            origin=origin,
        )
