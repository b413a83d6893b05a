"""The messages of a topic as Socket.IO sends them: `<resource>:initial`, `<resource>:update`. Pure.

A packet is encoded once, for all who get it: that of an update with its frame, that of a snapshot with its last part.
The form of packets: https://socket.io/docs/v4/socket-io-protocol/ and https://socket.io/docs/v4/engine-io-protocol/
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from engineio.packet import MESSAGE, Packet

from shared.change import Action
from shared.journal import EVENT_TYPES, EventType, item_of
from shared.names import Topic
from shared.protocol import Bookmark, Refusal, SnapshotPart, Subscribed, Welcome
from shared.resources import RESOURCES


class Update(msgspec.Struct, frozen=True):
    """One change, which leads to `version`."""

    topic: Topic
    epoch: str
    version: int
    packet: Any


class Part(msgspec.Struct):
    """Some of the records of a snapshot, as JSON with commas between; `packet` is made for the last part."""

    topic: Topic
    epoch: str
    version: int
    number: int
    is_last: bool
    count: int
    items: str
    packet: Any = None


class _Sync(msgspec.Struct, tag_field="op", tag="sync"):
    """A `sync` as it is read again: `data` may be `null`, which a field of `Raw | None` does not take."""

    resource: str
    workspace: str
    action: Action
    id: str
    version: int
    epoch: str
    data: msgspec.Raw


Message = Welcome | Refusal | Subscribed | Bookmark | Update | Part
_decode = msgspec.json.Decoder(Welcome | Refusal | Subscribed | Bookmark | _Sync | SnapshotPart).decode


class _Complaint(msgspec.Struct, omit_defaults=True):
    code: str
    message: str
    topic: str | None = None
    workspace: str | None = None
    retry_after_ms: int | None = None


def messages_of(payloads: Iterable[bytes]) -> list[Message]:
    """Read messages of the sync protocol, and make packets of those that need no more than themselves for it."""
    return [_translated(_decode(payload)) for payload in payloads]


def event_packet(event: str, data: bytes) -> Packet:
    """Return a packet that emits an event; `data` is JSON."""
    return Packet(MESSAGE, f'2["{event}",{data.decode()}]')


def update_packet(resource: str, version: int, event_type: EventType, item: bytes) -> Packet:
    """Return the packet of a change that led to `version`."""
    return event_packet(
        f"{resource}:update", b'{"eventId":%d,"type":"%b","data":%b}' % (version, event_type.encode(), item)
    )


def initial_packet(parts: Sequence[Part]) -> Packet:
    """Return the packet of a whole snapshot."""
    last = parts[-1]
    if last.packet is None:
        items = ",".join([part.items for part in parts if part.items])
        total = sum(part.count for part in parts)
        end = f'"total":{total},"version":{last.version},"lastEventId":{last.version}'
        last.packet = Packet(MESSAGE, f'2["{last.topic.resource}:initial",{{"items":[{items}],{end}}}]')
    return last.packet


def complaint_packet(refusal: Refusal) -> Packet:
    """Return the packet of the event `error`."""
    complaint = _Complaint(refusal.code, refusal.message, refusal.topic, refusal.workspace, refusal.retry_after_ms)
    return event_packet("error", msgspec.json.encode(complaint))


def _translated(message: Any) -> Message:  # noqa: ANN401  (a Decoder of a union is typed as one of Any)
    if isinstance(message, _Sync):
        return _update(message)
    if isinstance(message, SnapshotPart):
        return _part(message)
    return message  # type: ignore[no-any-return]  # likewise


def _update(sync: _Sync) -> Update:
    data = None if sync.action == "deleted" else bytes(sync.data)
    item = item_of(RESOURCES[sync.resource], sync.id, sync.version, data)
    packet = update_packet(sync.resource, sync.version, EVENT_TYPES[sync.action], item)
    return Update(Topic(sync.workspace, sync.resource), sync.epoch, sync.version, packet)


def _part(part: SnapshotPart) -> Part:
    resource = RESOURCES[part.topic]
    items = [item_of(resource, item.id, item.version, bytes(item.data)) for item in part.items]
    return Part(
        topic=Topic(part.workspace, part.topic),
        epoch=part.epoch,
        version=part.version,
        number=part.part,
        is_last=part.part == part.parts,
        count=len(items),
        items=b",".join(items).decode(),
    )
