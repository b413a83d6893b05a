"""The topic of the Python client: the protocol's table, and the proof that it never applies across a gap."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from muster_client.feed import Feed
from muster_client.messages import Change, Position, TopicMessage, decode
from muster_client.topic import Awaiting, Step, TopicState
from tests.support.topic_history import Delivery, Record, Records, TopicHistory, history_of

EDITS = [("a", False), ("b", False), ("a", False), ("b", True), ("c", False)]


def take(state: TopicState, *frames: str) -> Step:
    """Let a state receive frames; returns what the last one led to."""
    steps = [state.receive(read(frame)) for frame in frames]
    return steps[-1]


def read(frame: str) -> TopicMessage:
    message = decode(frame)
    assert isinstance(message, TopicMessage)
    return message


def held(state: TopicState) -> Records:
    return {item.id: Record(item.version, dict(item.data)) for item in state.items.values()}


def following(edits: int) -> tuple[TopicHistory, TopicState]:
    """Return a topic, and a client that has followed it so far."""
    history, state = history_of(EDITS[:edits]), TopicState()
    take(state, *history.snapshot())
    return history, state


def edited(frame: str, **fields: Any) -> str:  # noqa: ANN401 - fields of JSON
    return json.dumps(json.loads(frame) | fields)


def test_a_first_visit_asks_without_since_and_takes_the_snapshot() -> None:
    history, state = history_of(EDITS), TopicState()
    assert state.ask() is None
    assert Step(is_replaced=True) == take(state, *history.snapshot())
    assert (history.now, Position("1", 5), True) == (held(state), state.position, state.is_current)
    assert Position("1", 5) == state.ask()


def test_a_snapshot_in_parts_is_applied_with_its_last_part() -> None:
    history, state = history_of(EDITS), TopicState()
    first, second, third = history.snapshot(parts=3)
    take(state, first, third)
    assert ({}, False) == (held(state), state.is_current)
    take(state, second)
    assert (history.now, True) == (held(state), state.is_current)


def test_parts_of_different_snapshots_are_not_mixed() -> None:
    history, state = history_of(EDITS[:2]), TopicState()
    early, _ = history.snapshot(parts=2)
    history.edit("a", is_deleted=True)
    first, late = history.snapshot(parts=2)
    take(state, early, late)
    assert not state.is_current
    take(state, first)
    assert history.now == held(state)


def test_changes_between_the_parts_of_a_snapshot_are_applied_after_it() -> None:
    history, state = history_of(EDITS[:4]), TopicState()
    first, second = history.snapshot(parts=2)
    history.edit("c", is_deleted=False)
    take(state, first, *history.after(4), second)
    assert (history.now, Position("1", 5)) == (held(state), state.position)


def test_a_part_that_came_before_the_connection_was_lost_is_worth_nothing() -> None:
    history, state = history_of(EDITS), TopicState()
    first, second = history.snapshot(parts=2)
    take(state, first)
    state.ask()
    take(state, second)
    assert not state.is_current


@pytest.mark.parametrize("delivery", ["batch", "each"])
def test_the_next_changes_are_applied(delivery: Delivery) -> None:
    history, state = following(3)
    history.edit("b", is_deleted=True)
    step = take(state, *history.after(3, delivery=delivery))
    assert (Step(applied=(Change("b", "deleted", 4, None),)), history.now) == (step, held(state))


def test_a_duplicate_is_skipped() -> None:
    history, state = following(5)
    assert [Step(), Step()] == [take(state, *history.after(2, 5)), take(state, *history.after(3, 4))]
    assert Position("1", 5) == state.position


def test_of_changes_that_overlap_only_the_newer_ones_are_applied() -> None:
    history, state = following(2)
    history.edit("d", is_deleted=False)
    history.edit("c", is_deleted=False)
    stale = {"id": "a", "action": "updated", "version": 1, "data": {"stale": True}}
    frame = json.loads(history.after(0)[0])
    frame["changes"] = [stale, *frame["changes"][2:]]
    step = take(state, json.dumps(frame))
    assert [3, 4] == [change.version for change in step.applied]
    assert history.now == held(state)


@pytest.mark.parametrize("delivery", ["batch", "each"])
def test_a_gap_is_not_applied_but_asked_for(delivery: Delivery) -> None:
    history, state = following(2)
    history.edit("d", is_deleted=False)
    before = held(state)
    history.edit("c", is_deleted=False)
    step = take(state, *history.after(3, delivery=delivery))
    assert (True, before, False) == (step.must_ask, held(state), state.is_current)
    assert Position("1", 2) == state.ask()
    assert Step() == take(state, *history.after(3, delivery=delivery))  # asked already
    take(state, history.subscribed(2), *history.after(2, delivery=delivery))
    assert (history.now, True) == (held(state), state.is_current)


@pytest.mark.parametrize("delivery", ["batch", "each"])
def test_another_epoch_is_asked_for_without_since(delivery: Delivery) -> None:
    history, state = following(5)
    history.open_epoch(1)
    history.edit("d", is_deleted=False)
    step = take(state, *history.after(4, delivery=delivery))
    assert (True, None, Position("1", 5)) == (step.must_ask, state.ask(), state.position)
    take(state, history.subscribed(4), *history.after(4, delivery=delivery))
    assert Position("1", 5) == state.position  # nothing is applied to what is not trusted
    take(state, *history.snapshot())
    assert (history.now, Position("2", 5)) == (held(state), state.position)


def test_an_answer_of_another_epoch_is_asked_for_without_since() -> None:
    history, state = following(5)
    state.ask()
    history.open_epoch(0)
    assert (True, None) == (take(state, history.subscribed(5)).must_ask, state.ask())


def test_a_bookmark_of_another_epoch_is_asked_for_without_since() -> None:
    history, state = following(5)
    history.open_epoch(0)
    assert (True, None) == (take(state, history.bookmark()).must_ask, state.ask())


def test_a_digest_proves_what_is_held() -> None:
    history, state = following(5)
    assert Step(proof=True) == take(state, history.bookmark())
    state.items.pop("a")
    assert Step(must_ask=True, proof=False) == take(state, history.bookmark())
    assert state.ask() is None
    take(state, *history.snapshot())
    assert (history.now, Step(proof=True)) == (held(state), take(state, history.bookmark()))


def test_the_digest_is_the_sum_of_checksums_of_id_and_version() -> None:
    state = TopicState()
    items = [{"id": record_id, "version": version, "data": {}} for record_id, version in (("s_1", 3), ("s_2", 7))]
    take(state, edited(history_of([]).snapshot()[0], version=7, items=items))
    # the checksums of "s_1:3" and "s_2:7" as gzip writes them
    assert (0x54EE423E + 0x51C5387E) % 2**32 == state.digest


def test_a_bookmark_that_is_ahead_is_a_gap_when_it_comes_twice() -> None:
    history, state = following(2)
    history.edit("c", is_deleted=False)
    assert Step() == take(state, history.bookmark())
    assert (True, Position("1", 2)) == (take(state, history.bookmark()).must_ask, state.ask())


def test_a_bookmark_that_is_behind_says_nothing() -> None:
    history, state = following(2)
    late = history.bookmark()
    history.edit("c", is_deleted=False)
    take(state, *history.after(2))
    assert Step() == take(state, late)


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    history, state = following(2)
    state.ask()
    assert Step() == take(state, history.bookmark())
    assert (True, None) == (take(state, history.bookmark()).must_ask, state.ask())


def test_a_snapshot_that_nobody_asked_for_replaces_what_is_held() -> None:
    history, state = following(2)
    history.edit("c", is_deleted=False)
    assert Step(is_replaced=True) == take(state, *history.snapshot())
    assert history.now == held(state)


def test_a_late_snapshot_that_is_older_is_skipped() -> None:
    history, state = following(2)
    late = history.snapshot()
    history.edit("c", is_deleted=False)
    take(state, *history.after(2))
    assert Step() == take(state, *late)


def test_who_claims_what_never_was_takes_the_answer() -> None:
    history, state = history_of(EDITS), TopicState(Position("1", 1_000))
    state.ask()
    assert Step(is_replaced=True) == take(state, *history.snapshot())
    assert (history.now, Position("1", 5), True) == (held(state), state.position, state.is_current)


def test_the_whole_list_is_taken_whenever_it_is_newer() -> None:
    history, state = history_of(EDITS[:2]), TopicState()
    early = history.full()
    assert Step(is_replaced=True) == take(state, early)
    history.edit("c", is_deleted=False)
    take(state, history.full())
    assert (history.now, True) == (held(state), state.is_current)
    assert [Step(), Step()] == [take(state, early), take(state, history.full())]


def test_a_whole_list_of_another_epoch_leads_to_a_snapshot() -> None:
    history, state = following(2)
    history.open_epoch(lost_versions=0)
    assert (Step(must_ask=True), Position("1", 2)) == (take(state, history.full()), state.position)
    assert state.ask() is None


def test_a_whole_list_answers_what_was_asked() -> None:
    history, state = following(2)
    state.ask()
    assert (Step(), True) == (take(state, history.full()), state.is_current)


def test_a_state_that_begins_at_a_position_goes_on_from_there() -> None:
    history, state = history_of(EDITS), TopicState(Position("1", 3))
    assert Position("1", 3) == state.ask()
    take(state, history.subscribed(3), *history.after(3))
    assert ({"c"}, Position("1", 5), True) == (set(state.items), state.position, state.is_partial)
    assert Step() == take(state, history.bookmark())  # what is not whole has no digest
    take(state, *history.snapshot())
    assert (history.now, False) == (held(state), state.is_partial)


class Consumer:
    """Folds what a feed gives, as an application would; a `blind` one has begun elsewhere."""

    def __init__(self, feed: Feed, records: Records, *, is_blind: bool) -> None:
        self.feed = feed
        self.records = records
        self.is_blind = is_blind

    def take(self, count: int = 1_000) -> None:
        for _ in range(count):
            if self.feed.is_broken or (change := self.feed.take()) is None:
                return
            was_there = change.id in self.records
            if not self.is_blind:
                assert was_there == (change.action != "created")
            if change.data is None:
                self.records.pop(change.id, None)
            else:
                self.records[change.id] = Record(change.version, dict(change.data))


class Following(RuleBasedStateMachine):
    """A topic and a client of it: what the server says is lost, repeated and reordered at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.history = TopicHistory()
        self.state = TopicState()
        self.wire: list[str] = []
        self.is_asked = True
        self.since: Position | None = None
        self.consumers: list[Consumer] = []

    @initialize(delivery=st.sampled_from(["batch", "each", "full"]))
    def begin(self, delivery: Delivery) -> None:
        self.delivery: Delivery = delivery
        self.since = self.state.ask()
        self.consumers = [Consumer(Feed(self.state, depth=depth), {}, is_blind=False) for depth in (0, 3)]

    @rule(record_id=st.sampled_from("abcd"), is_deleted=st.booleans())
    def edit(self, record_id: str, is_deleted: bool) -> None:
        self.history.edit(record_id, is_deleted=is_deleted)

    @rule(edits=st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=4))
    def edit_and_deliver(self, edits: list[tuple[str, bool]]) -> None:
        """Let everything arrive, as it does while nothing is wrong."""
        before = self.history.version
        for record_id, is_deleted in edits:
            self.history.edit(record_id, is_deleted=is_deleted)
        self.wire += self.history.after(before, delivery=self.delivery)
        self.deliver_all()

    @rule(lost_versions=st.integers(0, 3))
    def open_epoch(self, lost_versions: int) -> None:
        self.history.open_epoch(lost_versions)

    @rule(data=st.data())
    def send_changes(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(self.history.floor, self.history.version))
        last = data.draw(st.integers(first, self.history.version))
        self.wire += self.history.after(first, last, delivery=self.delivery)

    @rule()
    def send_bookmark(self) -> None:
        self.wire.append(self.history.bookmark())

    @rule(parts=st.integers(1, 3))
    def send_snapshot(self, parts: int) -> None:
        self.wire += self.history.snapshot(parts)

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def deliver_some_in_any_order(self, data: st.DataObject) -> None:
        """Deliver frames, each perhaps several times; what is delivered may come once more later."""
        for frame in data.draw(st.lists(st.sampled_from(self.wire), min_size=1, max_size=6)):
            self.give(frame)

    @rule()
    def deliver_all(self) -> None:
        wire, self.wire = self.wire, []
        for frame in wire:
            self.give(frame)

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def lose_any(self, data: st.DataObject) -> None:
        self.wire.remove(data.draw(st.sampled_from(self.wire)))

    @rule(is_wire_lost=st.booleans())
    def reconnect(self, is_wire_lost: bool) -> None:
        self.ask()
        if is_wire_lost:
            self.wire = []

    @precondition(lambda self: self.is_asked)
    @rule(parts=st.integers(1, 3), floor=st.integers(0, 4))
    def answer(self, parts: int, floor: int) -> None:
        """Answer as a server must; `floor` is how far back it remembers."""
        history, since, self.is_asked = self.history, self.since, False
        floor = max(history.floor, history.version - floor)
        if since is not None and since.epoch == str(history.epoch) and floor <= since.version <= history.version:
            self.wire.append(history.subscribed(since.version))
            self.wire += history.after(since.version, delivery=self.delivery)
        else:
            self.wire += history.snapshot(parts)

    @rule(which=st.integers(0, 1), count=st.integers(1, 5))
    def consume(self, which: int, count: int) -> None:
        self.consumers[which].take(count)

    @rule()
    def restart_a_consumer_from_its_position(self) -> None:
        """Go on in another process, which remembers the records and the position only."""
        consumer = self.consumers[0]
        if consumer.feed.position is None or consumer.feed.is_broken:
            return
        self.state = TopicState(consumer.feed.position)
        self.consumers = [
            Consumer(Feed(self.state, depth=depth), dict(consumer.records), is_blind=True) for depth in (0, 3)
        ]
        self.wire = []
        self.ask()

    def ask(self) -> None:
        self.is_asked, self.since = True, self.state.ask()

    def give(self, frame: str) -> None:
        step = self.state.receive(read(frame))
        for consumer in self.consumers:
            consumer.feed.advance(step)
        if step.must_ask:
            self.ask()

    @invariant()
    def exactly_what_was_true_is_held(self) -> None:
        if self.state.position is not None and not self.state.is_partial:
            position = self.state.position
            assert self.history.records[int(position.epoch), position.version] == held(self.state)

    @invariant()
    def a_consumer_costs_no_more_than_the_records(self) -> None:
        for consumer in self.consumers:
            feed = consumer.feed
            assert len(feed._backlog) <= 3
            if not consumer.is_blind:
                assert feed._due.keys() <= feed._given.keys() | self.state.items.keys()

    def teardown(self) -> None:
        """At rest everyone agrees, or knows better."""
        if not self.consumers:
            return
        self.wire = []
        for _ in range(3):  # after a new epoch, the first answer may lead to a second question
            self.ask()
            self.answer(parts=2, floor=2)
            self.deliver_all()
        position = Position(str(self.history.epoch), self.history.version)
        assert (position, True) == (self.state.position, self.state.is_current)
        for consumer in self.consumers:
            consumer.take()
            if not consumer.feed.is_broken:
                assert self.history.now == consumer.records
                assert position == consumer.feed.position
            else:
                assert consumer.is_blind
        if not self.state.is_partial:
            assert self.state.receive(read(self.history.bookmark())).proof
        assert Awaiting.NOTHING is self.state.awaiting


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
