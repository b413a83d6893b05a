"""The messages of the sync protocol `muster.v1` as types, with their codecs. Pure.

Fields that are not named here are ignored, so that a newer server can say more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

import msgspec

from muster_client.errors import ProtocolFault

SUBPROTOCOL = "muster.v1"

Action = Literal["created", "updated", "deleted"]

Delivery = Literal["batch", "each", "full"]
"""What the server sends: conflated changes, every single change, or always the whole list."""

Data = Mapping[str, Any]
"""A whole record. It is shared by all who hold it, so nobody may change it."""


class Position(msgspec.Struct, frozen=True):
    """What of a topic somebody has: everything up to `version` of `epoch`. Its text is `<epoch>-<version>`."""

    epoch: str
    version: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises ValueError."""
        epoch, dash, version = text.rpartition("-")
        if not (dash and epoch and version.isascii() and version.isdecimal()):
            raise ValueError(f"{text!r} is not of the form EPOCH-VERSION")
        return cls(epoch, int(version))


class Item(msgspec.Struct, frozen=True):
    """A record as it stands, `version` being that of its last change."""

    id: str
    version: int
    data: Data


class Change(msgspec.Struct, frozen=True):
    """What became of one record; `data` is the whole record, None when it was deleted."""

    id: str
    action: Action
    version: int
    data: Data | None


class Auth(msgspec.Struct, frozen=True, tag_field="op", tag="auth"):
    """Say who we are; sent again, it renews the session."""

    token: str


class Subscribe(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="subscribe"):
    """Ask for a topic; `since` is what we have of it, `tick_ms` how often it may change at most."""

    topic: str
    workspace: str | None = None
    delivery: Delivery = "batch"
    tick_ms: int | None = None
    since: Position | None = None


class Unsubscribe(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="unsubscribe"):
    """Ask for no more of a topic."""

    topic: str
    workspace: str | None = None


class Check(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="check"):
    """Ask for a bookmark."""

    topic: str
    workspace: str | None = None


ClientMessage = Auth | Subscribe | Unsubscribe | Check


class Workspace(msgspec.Struct, frozen=True):
    """A workspace that the user is in, and as what."""

    id: str
    name: str
    role: str


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="welcome"):
    """The server has let us in, until `expires_at` of its own clock, or for good."""

    session: str
    server_time: datetime
    heartbeat_s: float
    workspaces: tuple[Workspace, ...]
    expires_at: datetime | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="error"):
    """Something is not granted; with `retry_after_ms` it may be later. Without a topic it concerns the connection."""

    code: str
    message: str
    topic: str | None = None
    workspace: str | None = None
    retry_after_ms: float | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="snapshot"):
    """One of the `parts` of all records; they hold when all parts are there."""

    topic: str
    epoch: str
    version: int
    part: int
    parts: int
    items: tuple[Item, ...]
    workspace: str | None = None


class Full(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="full"):
    """All records, because something has changed."""

    topic: str
    epoch: str
    version: int
    items: tuple[Item, ...]
    workspace: str | None = None


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="subscribed"):
    """Our position holds, and what we missed follows."""

    topic: str
    epoch: str
    version: int
    workspace: str | None = None


class Changes(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="changes"):
    """What happened after `prev` and up to `version`, conflated."""

    topic: str
    epoch: str
    prev: int
    version: int
    changes: tuple[Change, ...]
    workspace: str | None = None


class Sync(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="sync"):
    """One change, which is the topic's version `version`; `resource` is the topic."""

    resource: str
    epoch: str
    version: int
    id: str
    action: Action
    data: Data | None
    workspace: str | None = None

    @property
    def topic(self) -> str:
        """The topic, under the name that it has in the other messages."""
        return self.resource


class Bookmark(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="bookmark"):
    """Where the topic stands, and the digest of its records."""

    topic: str
    epoch: str
    version: int
    digest: int
    workspace: str | None = None


TopicMessage = Snapshot | Full | Subscribed | Changes | Sync | Bookmark
ServerMessage = Welcome | Refusal | TopicMessage

_decode = msgspec.json.Decoder(ServerMessage).decode
_encode = msgspec.json.Encoder().encode


def decode(frame: str | bytes) -> ServerMessage:
    """Read one message of the server; raises ProtocolFault."""
    if isinstance(frame, bytes):
        raise ProtocolFault("a binary frame has come, and messages are text")
    try:
        return _decode(frame)  # type: ignore[no-any-return]  # a Decoder of a union is typed as one of Any
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolFault(f"a message cannot be read: {error}") from error


def encode(message: ClientMessage) -> str:
    """Write one message of ours."""
    return _encode(message).decode()
