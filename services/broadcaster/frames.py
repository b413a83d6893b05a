"""What goes over the wire, encoded and framed once, and shared by all who get the same. Pure."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from services.broadcaster import metrics
from services.broadcaster.event_packets import Message, messages_of
from services.broadcaster.event_stream import events_of
from shared.change import Change
from shared.errors import MustRefetch
from shared.names import Topic
from shared.protocol import (
    PART_BYTES,
    Delivery,
    Subscribed,
    bookmark_of,
    changes_of,
    encode,
    full_of,
    snapshot_parts,
    sync_of,
)
from shared.topic import TopicState, size_of
from shared.websocket import FINAL_TEXT, framed

MAX_CACHED_SPANS = 1000
"""How many spans of one version are kept: clients that resume at once mostly come from the same few versions."""

MAX_CACHED_BYTES = 16_000_000
"""How large these spans may be together, so that clients that come from ever other versions cannot fill the memory."""

WINDOW_BITS = 15
"""The window that deflated messages need: who can take less gets plain ones."""

_DEFLATED = 0x40  # RFC 7692, 6
_SYNC_TAIL = b"\x00\x00\xff\xff"  # RFC 7692, 7.2.1: not sent
_SMALLEST_DEFLATED_BYTES = 100
_SYNC_OVERHEAD_BYTES = 100
_SLICE = "slice"
_WHOLE_LIST = -1  # no version


class Frame:
    """Messages that are sent together, as the bytes that a server writes (RFC 6455), shared by all receivers."""

    __slots__ = ("_deflated", "_events", "_packets", "payloads", "plain", "size_bytes")

    def __init__(self, messages: Sequence[msgspec.Struct]) -> None:
        self.payloads = [encode(message) for message in messages]
        """The messages as JSON."""
        self.plain = b"".join([framed(payload) for payload in self.payloads])
        """The bytes for a connection without compression."""
        self.size_bytes = len(self.plain)
        self._deflated: bytes | None = None
        self._events: bytes | None = None
        self._packets: list[Message] | None = None

    @property
    def deflated(self) -> bytes:
        """The bytes for a connection with `permessage-deflate`; each message without the context of another."""
        if self._deflated is None:
            self._deflated = b"".join([_framed_small(payload) for payload in self.payloads])
        return self._deflated

    @property
    def events(self) -> bytes:
        """The messages as server-sent events."""
        if self._events is None:
            self._events = events_of(self.payloads)
        return self._events

    @property
    def packets(self) -> list[Message]:
        """The messages as Socket.IO sends them."""
        if self._packets is None:
            self._packets = messages_of(self.payloads)
        return self._packets


Frames = tuple[Frame, ...]

Form = Callable[[Frame], Any]
"""What of a frame a connection takes: its bytes in one form, or what its wire makes them of."""

PLAIN: Form = attrgetter("plain")
DEFLATED: Form = attrgetter("deflated")
EVENTS: Form = attrgetter("events")
PACKETS: Form = attrgetter("packets")


def _framed_small(payload: bytes) -> bytes:
    """Return the smaller of both forms."""
    if len(payload) < _SMALLEST_DEFLATED_BYTES:
        return framed(payload)
    compressor = zlib.compressobj(wbits=-WINDOW_BITS)
    deflated = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_SYNC_TAIL)
    return framed(deflated, FINAL_TEXT | _DEFLATED) if len(deflated) < len(payload) else framed(payload)


def frame_of(message: msgspec.Struct) -> Frame:
    """Encode one message."""
    return Frame((message,))


def frames_of(messages: Iterable[msgspec.Struct]) -> Frames:
    """Encode messages in their order, each by itself."""
    return tuple(frame_of(message) for message in messages)


class TopicFrames:
    """Frames of a topic's state, kept until it changes. `utc_now` is the time that bookmarks tell."""

    def __init__(self, topic: Topic, utc_now: Callable[[], datetime], *, part_bytes: int = PART_BYTES) -> None:
        self._topic = topic
        self._utc_now = utc_now
        self._part_bytes = part_bytes
        self._position = (0, 0)
        self._snapshot: Frames = ()
        self._spans: dict[tuple[str, int], Frames] = {}
        self._spans_bytes = 0

    def snapshot(self, state: TopicState) -> Frames:
        """Return the frames of all records as they stand."""
        self._renew(state)
        if not self._snapshot:
            self._snapshot = frames_of(snapshot_parts(self._topic, state.snapshot(), part_bytes=self._part_bytes))
            metrics.SNAPSHOT_ENCODES.inc()
        return self._snapshot

    def since(self, state: TopicState, version: int, delivery: Delivery = Delivery.BATCH) -> Frames:
        """Return the frames of what happened after `version`, or those of a snapshot when that is forgotten."""
        self._renew(state)
        # the whole list is the same for everyone who does not have it
        key = (delivery, _WHOLE_LIST if delivery is Delivery.FULL and version != state.version else version)
        frames = self._spans.get(key)
        if frames is None:
            try:
                frames = self._encode(state, version, delivery)
            except MustRefetch:
                return self.snapshot(state)
            self._keep(key, frames)
        return frames

    def missed(self, state: TopicState, version: int, delivery: Delivery) -> tuple[Frames, int]:
        """Return what brings a client on from `version`, and the version that it leads to.

        That is the state's own, unless each change is to be told: then it is one slice, so that no more waits for a
        slow client than that.
        """
        if delivery is not Delivery.EACH or not state.ring_floor <= version < state.version:
            return self.since(state, version, delivery), state.version
        self._renew(state)
        key = (_SLICE, version)
        frames = self._spans.get(key)
        if frames is None:
            group = _grouped(state.changes_since(version), self._part_bytes)[0]
            frames = (Frame([sync_of(self._topic, state.epoch, change) for change in group]),)
            self._keep(key, frames)
        return frames, version + len(frames[0].payloads)

    def subscribed(self, state: TopicState, version: int) -> Frame:
        """Return the frame that tells a client that its own `version` still holds."""
        topic = self._topic
        message = Subscribed(
            topic=topic.resource, workspace=topic.workspace_id, epoch=str(state.epoch), version=version
        )
        return frame_of(message)

    def bookmark(self, state: TopicState) -> Frame:
        """Return the frame that says where the topic stands."""
        return frame_of(bookmark_of(self._topic, state, self._utc_now()))

    def _encode(self, state: TopicState, version: int, delivery: Delivery) -> Frames:
        if delivery is Delivery.BATCH:
            spans = state.since(version, span_bytes=self._part_bytes)
            return frames_of(changes_of(self._topic, state.epoch, span) for span in spans)
        if delivery is Delivery.EACH:
            changes = state.changes_since(version)
            return tuple(
                Frame([sync_of(self._topic, state.epoch, change) for change in group])
                for group in _grouped(changes, self._part_bytes)
            )
        return () if version == state.version else (frame_of(full_of(self._topic, state.snapshot())),)

    def _renew(self, state: TopicState) -> None:
        position = (state.epoch, state.version)
        if position != self._position:
            self._position = position
            self._snapshot = ()
            self._spans.clear()
            self._spans_bytes = 0

    def _keep(self, key: tuple[str, int], frames: Frames) -> None:
        """Keep what was encoded for others who miss the same, while there is room; of whole lists there is only one."""
        metrics.SPAN_ENCODES.inc()
        if key[1] == _WHOLE_LIST:
            self._spans[key] = frames
            return
        size_bytes = sum(frame.size_bytes for frame in frames)
        if len(self._spans) < MAX_CACHED_SPANS and self._spans_bytes + size_bytes <= MAX_CACHED_BYTES:
            self._spans[key] = frames
            self._spans_bytes += size_bytes


def _grouped(changes: Sequence[Change], part_bytes: int) -> list[list[Change]]:
    """Cut changes into groups of about `part_bytes` bytes, each to be written at once."""
    groups: list[list[Change]] = []
    room_bytes = 0
    for change in changes:
        size_bytes = size_of(change) + _SYNC_OVERHEAD_BYTES
        if size_bytes > room_bytes:
            groups.append([])
            room_bytes = part_bytes
        groups[-1].append(change)
        room_bytes -= size_bytes
    return groups
