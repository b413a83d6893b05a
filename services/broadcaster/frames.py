"""Frames of one topic, encoded once and shared by all who get the same. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from services.broadcaster import metrics
from shared.errors import MustRefetch
from shared.names import Topic
from shared.protocol import Subscribed, bookmark_of, changes_of, encode, snapshot_parts
from shared.topic import TopicState

MAX_CACHED_SPANS = 1000
"""How many spans of one version are kept: clients that resume at once mostly come from the same few versions."""


class Frame:
    """One message as it is sent."""

    __slots__ = ("size_bytes", "text")

    def __init__(self, message: msgspec.Struct) -> None:
        encoded = encode(message)
        self.size_bytes = len(encoded)
        self.text = encoded.decode()


Frames = tuple[Frame, ...]


def frames_of(messages: Iterable[msgspec.Struct]) -> Frames:
    """Encode messages in their order."""
    return tuple(Frame(message) for message in messages)


class TopicFrames:
    """Frames of a topic's state, kept until it changes. `utc_now` is the time that bookmarks tell."""

    def __init__(self, topic: Topic, utc_now: Callable[[], datetime]) -> None:
        self._topic = topic
        self._utc_now = utc_now
        self._position = (0, 0)
        self._snapshot: Frames = ()
        self._spans: dict[int, Frames] = {}

    def snapshot(self, state: TopicState) -> Frames:
        """Return the frames of all records as they stand."""
        self._renew(state)
        if not self._snapshot:
            self._snapshot = frames_of(snapshot_parts(self._topic, state.snapshot()))
            metrics.SNAPSHOT_ENCODES.inc()
        return self._snapshot

    def since(self, state: TopicState, version: int) -> Frames:
        """Return the frames of what happened after `version`, or those of a snapshot when that is forgotten."""
        self._renew(state)
        frames = self._spans.get(version)
        if frames is None:
            try:
                spans = state.since(version)
            except MustRefetch:
                return self.snapshot(state)
            frames = frames_of(changes_of(self._topic, state.epoch, span) for span in spans)
            if len(self._spans) < MAX_CACHED_SPANS:
                self._spans[version] = frames
        return frames

    def subscribed(self, state: TopicState, version: int) -> Frame:
        """Return the frame that tells a client that its own `version` still holds."""
        topic = self._topic
        message = Subscribed(
            topic=topic.resource, workspace=topic.workspace_id, epoch=str(state.epoch), version=version
        )
        return Frame(message)

    def bookmark(self, state: TopicState) -> Frame:
        """Return the frame that says where the topic stands."""
        return Frame(bookmark_of(self._topic, state, self._utc_now()))

    def _renew(self, state: TopicState) -> None:
        position = (state.epoch, state.version)
        if position != self._position:
            self._position = position
            self._snapshot = ()
            self._spans.clear()
