"""A Socket.IO client has every update once and in order, whatever it remembers and whatever is remembered for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.broadcaster.event_feed import Ask, Effect, Event, Feed, LookUp, Say, place_of
from services.broadcaster.frames import Frame
from services.broadcaster.subscription import Subscription
from shared.journal import EVENT_TYPES, REPLAYED_EVENTS, payload_of
from shared.protocol import Bookmark, Delivery, Refusal, Since
from shared.resources import SERVERS
from shared.topic import Head
from tests.support.channel_world import BOUNDS, World
from tests.support.played_wire import PlayedWire
from tests.support.topic_log import TOPIC, Edit, edits


@pytest.mark.parametrize(
    ("last_event_id", "head", "is_resumed"),
    [
        (7, Head(epoch=1, began=0, version=7), True),
        (8, Head(epoch=1, began=0, version=7), False),
        (0, Head(epoch=1, began=0, version=REPLAYED_EVENTS), True),
        (0, Head(epoch=1, began=0, version=REPLAYED_EVENTS + 1), False),
        (5, Head(epoch=2, began=5, version=7), False),
        (6, Head(epoch=2, began=5, version=7), True),
        (0, Head(epoch=2, began=5, version=7), True),
    ],
)
def test_an_id_is_a_place_if_this_epoch_may_have_given_it_out_not_long_ago(
    last_event_id: int, head: Head, *, is_resumed: bool
) -> None:
    expected = Since(str(head.epoch), last_event_id) if is_resumed else None
    assert expected == place_of(last_event_id, head)


def test_a_resume_that_is_refused_lets_the_next_one_pass() -> None:
    feed = Feed()
    feed.ask(TOPIC, Since("1", 5))
    assert feed.is_pending
    feed.take(Refusal(code="unavailable", message="later", topic=TOPIC.resource))
    assert not feed.is_pending


def test_a_topic_that_was_not_answered_is_not_asked_for_again_at_a_bookmark() -> None:
    feed = Feed()
    feed.ask(TOPIC, None)
    bookmark = Bookmark(
        topic=TOPIC.resource, workspace=TOPIC.workspace_id, epoch="2", version=1, digest=0, at=World().frames._utc_now()
    )
    assert [] == feed.take(bookmark)


class Journal:
    """What PostgreSQL holds of the topic: the log, but for what was lost, and as far as it is applied."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lags_behind = 0
        self.floor = 0

    def between(self, after: int, upto: int) -> list[Event]:
        applied = self.events[: len(self.events) - self.lags_behind]
        return [event for event in applied if after < event.version <= upto] if after >= self.floor else []


class Feeds(RuleBasedStateMachine):
    """A client that comes back with what it remembers, over a log that is trimmed, forgotten and reopened."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.load()
        self.journal = Journal()
        self.began = 0
        self.items: dict[str, int] | None = None
        self.last_event_id: int | None = None
        self.connect()

    def connect(self) -> None:
        self.wire = PlayedWire(BOUNDS)
        self.feed = Feed()
        self.subscription: Subscription | None = None

    @rule(batch=edits)
    def append(self, batch: list[Edit]) -> None:
        change_set = self.world.log.append(batch)
        self.journal.events += [
            Event(change.version, EVENT_TYPES[change.action], payload_of(SERVERS, change))
            for change in change_set.changes
        ]
        self.world.take_in(change_set)

    @rule(time_s=st.sampled_from([0.05, 0.2, 40.0]))
    def wait(self, time_s: float) -> None:
        self.world.wait(time_s)

    @rule()
    def forget(self) -> None:
        """Trim the log, and read the topic again: nothing is remembered of what happened before."""
        self.world.log.entries.clear()
        self.world.channel.invalidate()
        self.world.load()

    @rule(lags_behind=st.integers(0, 3), floor=st.sampled_from([0, 0, 3]))
    def apply(self, lags_behind: int, floor: int) -> None:
        self.journal.lags_behind, self.journal.floor = min(lags_behind, len(self.journal.events)), floor

    @rule(lost_versions=st.integers(0, 3))
    def open_epoch(self, lost_versions: int) -> None:
        log = self.world.log
        log.open_epoch(lost_versions=lost_versions)
        self.began = log.version
        self.journal.events = [event for event in self.journal.events if event.version <= log.version]
        self.journal.lags_behind = 0
        self.world.channel.opened(log.epoch)
        self.forget_what_was_lost()
        self.world.load()

    def forget_what_was_lost(self) -> None:
        """Let a client wait for everything anew that saw what was lost.

        An id does not say of which epoch it is: nobody but `initial` tells a client that comes back late.
        """
        if self.last_event_id is not None and self.last_event_id > self.began:
            self.last_event_id = None

    @rule(comes_anew=st.booleans(), forgets=st.booleans())
    def request(self, *, comes_anew: bool, forgets: bool) -> None:
        if comes_anew:
            self.leave()
            self.connect()
        # as its link does, it lets an answer come before it asks again
        while self.feed.is_pending and self.read_one():
            pass
        if self.feed.is_pending:
            return
        since = None
        if self.last_event_id is not None and not forgets:
            head = Head(epoch=self.world.log.epoch, began=self.began, version=self.world.log.version)
            since = place_of(self.last_event_id, head)
        self.feed.ask(TOPIC, since)
        self.subscribe(since)

    @rule(batches=st.lists(edits, min_size=1, max_size=4), reads=st.booleans())
    def live(self, batches: list[list[Edit]], *, reads: bool) -> None:
        """Let changes come one after the other, to a client that reads, or to one that does not."""
        for batch in batches:
            self.append(batch)
            self.world.wait(0.2)
            while reads and self.read_one():
                pass

    @rule(
        batches=st.lists(edits, max_size=3), more=st.lists(edits, max_size=2), forgets=st.booleans(), lags=st.booleans()
    )
    def come_back(self, batches: list[list[Edit]], more: list[list[Edit]], *, forgets: bool, lags: bool) -> None:
        """Go, and come back after changes; all but the last may be forgotten, and those not be in the journal yet."""
        self.leave()
        for batch in batches:
            self.append(batch)
        if forgets:
            self.forget()
        for batch in more:
            self.append(batch)
        self.journal.lags_behind = sum(map(len, more)) if lags else 0
        self.request(comes_anew=True, forgets=False)
        while self.read_one():
            pass

    @rule(frames=st.integers(1, 3))
    def read(self, frames: int) -> None:
        for _ in range(frames):
            self.read_one()

    def read_one(self) -> bool:
        frame = self.wire.take_one()
        if frame is not None:
            self.hear(frame)
        return frame is not None

    def hear(self, frame: Frame) -> None:
        for message in frame.packets:
            effects: list[Effect] = self.feed.take(message)
            while effects:
                effect = effects.pop(0)
                if isinstance(effect, Say):
                    self.told(*json.loads(effect.packet.encode()[2:]))
                    if getattr(message, "epoch", None) not in {None, str(self.world.log.epoch)}:
                        # it waited to be read while a new epoch was opened
                        self.forget_what_was_lost()
                elif isinstance(effect, Ask):
                    self.subscribe(effect.since)
                elif isinstance(effect, LookUp):
                    effects += self.feed.looked_up(self.journal.between(effect.after, effect.upto))

    def told(self, event: str, argument: dict[str, Any]) -> None:
        if event == "servers:initial":
            assert argument["version"] == argument["lastEventId"]
            assert argument["total"] == len(argument["items"])
            self.items = {item["id"]: item["version"] for item in argument["items"]}
            self.last_event_id = argument["lastEventId"]
            return
        assert "servers:update" == event
        if self.last_event_id is None:  # it saw what was lost: it waits for everything anew
            return
        assert self.items is not None
        assert self.last_event_id + 1 == argument["eventId"]
        self.last_event_id += 1
        item = argument["data"]
        assert (self.last_event_id, item["id"]) == (item["version"], item["server_id"])
        assert argument["type"] == "delete" or (argument["type"] == "add") == (item["id"] not in self.items)
        self.items.pop(item["id"], None)
        if argument["type"] != "delete":
            self.items[item["id"]] = item["version"]

    def subscribe(self, since: Since | None) -> None:
        self.leave()
        self.subscription = Subscription(
            TOPIC,
            self.wire.outbox,
            since=since,
            asked_at=self.world.now,
            on_refused=lambda *_: None,
            delivery=Delivery.EACH,
        )
        self.world.channel.subscribe(self.subscription)

    def leave(self) -> None:
        if self.subscription is not None:
            self.world.channel.unsubscribe(self.subscription, self.world.now)
            self.subscription = None

    @invariant()
    def little_waits(self) -> None:
        assert len(self.wire.outbox) <= BOUNDS.high_water_frames + 6

    def teardown(self) -> None:
        self.request(comes_anew=False, forgets=False)
        for _ in range(6):
            while self.read_one():
                pass
            self.world.wait(40)
        expected = {record.id: record.version for record in self.world.log.records.values()}
        assert (self.world.log.version, expected) == (self.last_event_id, self.items)


def test_the_answer_to_an_earlier_question_is_none_to_a_later_one() -> None:
    feeds = Feeds()
    feeds.come_back(batches=[], more=[[("a", False)]], forgets=False, lags=True)
    feeds.append(batch=[("a", False), ("a", False)])
    feeds.request(comes_anew=False, forgets=True)
    feeds.teardown()


Feeds.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestFeeds = Feeds.TestCase
