"""The messages of the sync protocol `muster.v1`, as `docs/protocol.md` describes them, with their codecs. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.change import Action, Change
from shared.errors import Malformed
from shared.names import Topic
from shared.topic import Record, Snapshot, Span, TopicState

SUBPROTOCOL = "muster.v1"

PART_BYTES = 256_000
"""About how large a frame gets: a snapshot is cut into parts, changes into several frames.

Clients commonly refuse messages of more than 1 MiB; a single record may be larger than a part.
"""

_ITEM_OVERHEAD_BYTES = 40

ErrorCode = Literal["bad_request", "unauthenticated", "forbidden", "unknown_topic", "too_many", "unavailable"]


class CloseCode(IntEnum):
    """Why a connection was ended, and thereby what the client does next."""

    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408
    TOO_MANY = 4429
    DRAINING = 4503


class Delivery(StrEnum):
    """What a subscriber gets when something has changed."""

    BATCH = "batch"
    """Conflated `changes`."""
    EACH = "each"
    """One `sync` for every change."""
    FULL = "full"
    """The whole list."""


MAX_TICK_MS = 60_000
"""The longest conflation tick that a subscriber may ask for."""

_Version = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Since(msgspec.Struct, frozen=True):
    """What a client remembers of a topic."""

    epoch: Annotated[str, Meta(max_length=40)]
    version: _Version


class Auth(msgspec.Struct, frozen=True, tag_field="op", tag="auth"):
    """The first message: who the client is; later ones renew it."""

    token: str


class Subscribe(msgspec.Struct, frozen=True, tag_field="op", tag="subscribe"):
    """Ask for a topic, named by its resource; `since` is left out on a first visit.

    `delivery` is `batch` when left out; `tick_ms` asks for a longer conflation tick than the server's own.
    """

    topic: str
    workspace: str | None = None
    delivery: str | None = None
    since: Since | None = None
    tick_ms: Annotated[int, Meta(ge=0, le=MAX_TICK_MS)] | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="op", tag="unsubscribe"):
    """End a subscription."""

    topic: str
    workspace: str | None = None


class Check(msgspec.Struct, frozen=True, tag_field="op", tag="check"):
    """Ask for a bookmark at once."""

    topic: str
    workspace: str | None = None


ClientMessage = Auth | Subscribe | Unsubscribe | Check


class Workspace(msgspec.Struct, frozen=True):
    """A workspace as the welcome lists it."""

    id: str
    name: str
    role: str


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="welcome"):
    """The answer to Auth. `expires_at` is when the token ends, None for one that does not."""

    session: str
    server_time: datetime
    heartbeat_s: int
    expires_at: datetime | None
    workspaces: tuple[Workspace, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="error"):
    """The answer to a message that cannot be granted; with `retry_after_ms` it may be granted later."""

    code: ErrorCode
    message: str
    topic: str | None = None
    workspace: str | None = None
    retry_after_ms: int | None = None


class Item(msgspec.Struct, frozen=True):
    """A record in a snapshot, with the version of its last change."""

    id: str
    version: int
    data: msgspec.Raw


class SnapshotPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="snapshot"):
    """Some of a topic's records; applied when the last of `parts` has come."""

    topic: str
    workspace: str
    epoch: str
    version: int
    recovered: bool = False
    part: int
    parts: int
    items: tuple[Item, ...]


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="subscribed"):
    """The client's own position still holds; what it missed follows."""

    topic: str
    workspace: str
    epoch: str
    version: int
    recovered: bool = True


class Changes(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="changes"):
    """What happened between two versions, conflated."""

    topic: str
    workspace: str
    epoch: str
    prev: int
    version: int
    changes: tuple[Change, ...]


class Sync(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="sync"):
    """One change, never conflated."""

    resource: str
    workspace: str
    action: Action
    id: str
    version: int
    epoch: str
    data: msgspec.Raw | None


class Full(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="full"):
    """All records of a topic as they stand."""

    topic: str
    workspace: str
    epoch: str
    version: int
    items: tuple[Item, ...]


class Bookmark(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="bookmark"):
    """Where a topic stands, with the digest by which a client proves that it missed nothing."""

    topic: str
    workspace: str
    epoch: str
    version: int
    digest: int
    at: datetime


_decode = msgspec.json.Decoder(ClientMessage).decode
encode = msgspec.json.Encoder().encode
"""Encode any message of the server."""


def decode_client_message(text: str) -> ClientMessage:
    """Read one message of a client; raises Malformed, which says what is wrong with it."""
    try:
        return _decode(text)  # type: ignore[no-any-return]  # a Decoder of a union is typed as one of Any
    except RecursionError as error:
        raise Malformed("the message is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise Malformed(str(error)) from error


def snapshot_parts(topic: Topic, snapshot: Snapshot, *, part_bytes: int = PART_BYTES) -> list[SnapshotPart]:
    """Return the messages that carry a snapshot: one at least, more when it is larger than `part_bytes`."""
    groups = list(_split(snapshot.records, part_bytes)) or [()]
    return [
        SnapshotPart(
            topic=topic.resource,
            workspace=topic.workspace_id,
            epoch=str(snapshot.epoch),
            version=snapshot.version,
            part=number,
            parts=len(groups),
            items=_items(group),
        )
        for number, group in enumerate(groups, 1)
    ]


def _split(records: Iterable[Record], part_bytes: int) -> Iterator[tuple[Record, ...]]:
    group: list[Record] = []
    size_bytes = 0
    for record in records:
        record_bytes = len(record.data) + len(record.id) + _ITEM_OVERHEAD_BYTES
        if group and size_bytes + record_bytes > part_bytes:
            yield tuple(group)
            group, size_bytes = [], 0
        group.append(record)
        size_bytes += record_bytes
    if group:
        yield tuple(group)


def full_of(topic: Topic, snapshot: Snapshot) -> Full:
    """Return the message that carries a whole topic at once, however large it is."""
    return Full(
        topic=topic.resource,
        workspace=topic.workspace_id,
        epoch=str(snapshot.epoch),
        version=snapshot.version,
        items=_items(snapshot.records),
    )


def sync_of(topic: Topic, epoch: int, change: Change) -> Sync:
    """Return the message that carries one change."""
    return Sync(
        resource=topic.resource,
        workspace=topic.workspace_id,
        action=change.action,
        id=change.id,
        version=change.version,
        epoch=str(epoch),
        data=change.data,
    )


def _items(records: Iterable[Record]) -> tuple[Item, ...]:
    return tuple(Item(record.id, record.version, msgspec.Raw(record.data)) for record in records)


def changes_of(topic: Topic, epoch: int, span: Span) -> Changes:
    """Return the message that carries a span."""
    return Changes(
        topic=topic.resource,
        workspace=topic.workspace_id,
        epoch=str(epoch),
        prev=span.prev,
        version=span.version,
        changes=span.changes,
    )


def bookmark_of(topic: Topic, state: TopicState, at: datetime) -> Bookmark:
    """Return the message that says where a topic stands."""
    return Bookmark(
        topic=topic.resource,
        workspace=topic.workspace_id,
        epoch=str(state.epoch),
        version=state.version,
        digest=state.digest,
        at=at,
    )
