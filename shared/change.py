"""Changes and change sets: what one entry of the log says, and its codec.

The bytes of a record are encoded once, by its producer; `data` is passed on as it stands.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from shared.audit import Origin
from shared.errors import Malformed
from shared.names import Topic
from shared.position import Position

Action = Literal["created", "updated", "deleted"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """One record created, updated or deleted.

    `version` is the topic's version after this change; `data` the whole record as JSON, None when deleted.
    """

    id: str
    action: Action
    version: int
    data: msgspec.Raw | None = None


_EMPTY_RECORD = b"{}"


def put_before(head: str, data: bytes | None) -> bytes:
    """Return a record's JSON with fields in front of its own, whose bytes are not touched; without data, these alone.

    `head` is a JSON object that lacks its last brace.
    """
    return head.encode() + (b"}" if data is None or data == _EMPTY_RECORD else b"," + data[1:])


class ChangeSet(msgspec.Struct, frozen=True):
    """One entry of the log: the changes `prev + 1 … version` of one topic, in order.

    `at_ms` is the Redis server's time in milliseconds since 1970; `operation` the id that the producer gave, if any;
    `origin` from where a person asked for it, if one did. `late` are samples that changed no record, for history alone;
    their version is 0. `windows` says by server id which samples have been taken in by now (see `append.lua`).
    """

    position: Position
    topic: Topic
    prev: int
    version: int
    at_ms: int
    actor: str
    operation: str
    changes: tuple[Change, ...]
    origin: Origin | None = None
    late: tuple[Change, ...] = ()
    windows: Mapping[str, str] = {}


class EpochOpened(msgspec.Struct, frozen=True):
    """The entry `<epoch>-0`: whatever was remembered of an earlier epoch may not hold."""

    position: Position


Entry = ChangeSet | EpochOpened


class _StoredChange(msgspec.Struct, gc=False):
    id: str
    action: Action
    data: msgspec.Raw


_NULL = b"null"
_NO_WINDOWS: Mapping[str, str] = {}
_decode_stored = msgspec.json.Decoder(list[_StoredChange]).decode
_decode_windows = msgspec.json.Decoder(dict[str, str]).decode


def decode_changes(changes: bytes, prev: int) -> tuple[Change, ...]:
    """Decode the JSON array of an entry; change i has the version `prev + 1 + i`. Raises Malformed."""
    try:
        stored = _decode_stored(changes)
    except msgspec.DecodeError as error:
        raise Malformed(f"changes after version {prev}: {error}") from error
    return tuple(
        Change(
            change.id,
            change.action,
            version,
            None if change.action == "deleted" or bytes(change.data) == _NULL else change.data,
        )
        for version, change in enumerate(stored, prev + 1)
    )


def _late(samples: bytes) -> tuple[Change, ...]:
    return tuple(msgspec.structs.replace(change, version=0) for change in decode_changes(samples, 0))


def decode_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """Decode one entry of the stream as Redis returns it; raises Malformed."""
    position = Position.parse(entry_id)
    if b"opened" in fields:
        return EpochOpened(position)
    try:
        prev, version = int(fields[b"prev"]), int(fields[b"version"])
        entry = ChangeSet(
            position,
            Topic.parse(fields[b"topic"].decode()),
            prev,
            version,
            int(fields[b"at"]),
            fields[b"actor"].decode(),
            fields[b"op"].decode(),
            decode_changes(fields[b"changes"], prev),
            Origin.parse(fields[b"origin"].decode()) if b"origin" in fields else None,
            _late(fields[b"late"]) if b"late" in fields else (),
            _decode_windows(fields[b"windows"]) if b"windows" in fields else _NO_WINDOWS,
        )
    except (KeyError, ValueError) as error:
        raise Malformed(f"entry {position}: {error!r}") from error
    if len(entry.changes) != version - prev:
        raise Malformed(f"entry {position}: {len(entry.changes)} changes for versions {prev + 1} to {version}")
    return entry
