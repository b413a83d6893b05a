"""What one Socket.IO client has been told, and so what a message of a topic means for it. Pure.

Whatever comes in whichever order, what is said of a topic is an `initial`, or what was missed, and from there on every
update once, in order: an update goes out only if it follows the one before it.
"""

from collections.abc import Sequence

import msgspec
from engineio.packet import Packet

from services.broadcaster.event_packets import Message, Part, Update, complaint_packet, initial_packet, update_packet
from shared.journal import REPLAYED_EVENTS, EventType
from shared.names import Topic
from shared.protocol import Bookmark, Refusal, Since, Subscribed
from shared.resources import RESOURCES
from shared.topic import Head


class Event(msgspec.Struct, frozen=True):
    """A change as the journal keeps it."""

    version: int
    type: EventType
    payload: bytes


class Say(msgspec.Struct, frozen=True):
    """Send this packet to the client."""

    packet: Packet


class Ask(msgspec.Struct, frozen=True):
    """Subscribe to this topic, in place of the subscription that there is."""

    topic: Topic
    since: Since | None


class LookUp(msgspec.Struct, frozen=True):
    """Read from the journal what happened after one version and up to another, then call `looked_up`."""

    topic: Topic
    after: int
    upto: int


Effect = Say | Ask | LookUp


class _Pending(msgspec.Struct):
    """A resume that was not answered yet; `held` is what the journal gave of what was missed."""

    topic: Topic
    since: Since
    held: Sequence[Event] = ()
    parts: Sequence[Part] = ()


def place_of(last_event_id: int, head: Head) -> Since | None:
    """Return where a client that has seen this event resumes, or None when it has to take everything anew.

    An id does not say of which epoch it is. One that this epoch has given out is taken to be of it; one up to where the
    epoch began may stand for what was lost with the epoch before, but for 0, which is nothing in all of them.
    """
    if not head.version - REPLAYED_EVENTS <= last_event_id <= head.version:
        return None
    if 0 < last_event_id <= head.began:
        return None
    return Since(epoch=str(head.epoch), version=last_event_id)


class Feed:
    """The topics of one client."""

    def __init__(self) -> None:
        self._places: dict[Topic, Since] = {}
        self._parts: dict[Topic, list[Part]] = {}
        self._pending: _Pending | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a resume was not answered yet: another one would have to wait."""
        return self._pending is not None

    def ask(self, topic: Topic, since: Since | None) -> None:
        """Note that the client asks for a topic: nothing more is said of it before the answer."""
        self._places.pop(topic, None)
        if since is not None:
            self._pending = _Pending(topic, since)

    def take(self, message: Message) -> list[Effect]:
        """Take the next message of the server."""
        match message:
            case Update():
                return self._update(message)
            case Part():
                return self._part(message)
            case Subscribed():
                return self._subscribed(message)
            case Bookmark():
                return self._bookmark(message)
            case Refusal():
                return self._refusal(message)
        return []

    def looked_up(self, events: Sequence[Event]) -> list[Effect]:
        """Take what the journal holds of what was missed."""
        pending = self._pending
        if pending is None:
            return []
        followed = [
            event for version, event in enumerate(events, pending.since.version + 1) if event.version == version
        ]
        reached = pending.since.version + len(followed)
        if reached == pending.parts[-1].version:
            return self._replay(followed, Since(pending.since.epoch, reached))
        if not followed:
            return self._initial(pending.parts)
        # the journal is written a moment after the log: the rest may be in the memory of this process
        pending.since = Since(pending.since.epoch, reached)
        pending.held = followed
        return [Ask(pending.topic, pending.since)]

    def _update(self, update: Update) -> list[Effect]:
        place = self._places.get(update.topic)
        if place is None or place.epoch != update.epoch or update.version <= place.version:
            return []
        if update.version > place.version + 1:
            self._places.pop(update.topic)
            return [Ask(update.topic, None)]
        self._places[update.topic] = Since(update.epoch, update.version)
        return [Say(update.packet)]

    def _part(self, part: Part) -> list[Effect]:
        if part.number == 1:
            self._parts[part.topic] = []
        parts = self._parts.setdefault(part.topic, [])
        parts.append(part)
        if not part.is_last:
            return []
        del self._parts[part.topic]
        pending = self._pending
        if pending is None or pending.topic != part.topic or not _may_be_replayed(pending, part):
            return self._initial(parts)
        pending.parts = parts
        return [LookUp(part.topic, pending.since.version, part.version)]

    def _subscribed(self, answer: Subscribed) -> list[Effect]:
        topic, since = Topic(answer.workspace, answer.topic), Since(answer.epoch, answer.version)
        if self._pending is None or (self._pending.topic, self._pending.since) != (topic, since):
            return []  # the answer to a question that was asked before this one
        return self._replay(self._pending.held, since)

    def _bookmark(self, bookmark: Bookmark) -> list[Effect]:
        topic = Topic(bookmark.workspace, bookmark.topic)
        place = self._places.get(topic)
        if place is None or place.epoch == bookmark.epoch:
            return []
        del self._places[topic]
        return [Ask(topic, None)]

    def _refusal(self, refusal: Refusal) -> list[Effect]:
        if self._pending is not None and self._pending.topic.resource == refusal.topic:
            self._pending = None
        return [Say(complaint_packet(refusal))]

    def _initial(self, parts: Sequence[Part]) -> list[Effect]:
        last = parts[-1]
        if self._pending is not None and self._pending.topic == last.topic:
            self._pending = None
        self._places[last.topic] = Since(last.epoch, last.version)
        return [Say(initial_packet(parts))]

    def _replay(self, events: Sequence[Event], place: Since) -> list[Effect]:
        """Answer a resume by what the journal gave; what else was missed follows by itself."""
        assert self._pending is not None  # noqa: S101  (its callers have looked)
        topic, self._pending = self._pending.topic, None
        self._places[topic] = place
        return [Say(update_packet(topic.resource, event.version, event.type, event.payload)) for event in events]


def _may_be_replayed(pending: _Pending, last: Part) -> bool:
    """Whether the journal may hold what lies between what a client has seen and a snapshot."""
    return (
        not pending.held
        and RESOURCES[pending.topic.resource].journalled
        and pending.since.epoch == last.epoch
        and 0 < last.version - pending.since.version <= REPLAYED_EVENTS
    )
