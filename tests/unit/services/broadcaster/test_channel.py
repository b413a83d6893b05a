"""One open topic and its subscribers: who gets what, and that no one is ever left behind."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.broadcaster.channel import MAX_BUFFERED_SETS, Channel
from services.broadcaster.frames import TopicFrames
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.subscription import Subscription
from shared.change import ChangeSet
from shared.errors import MustRefetch
from shared.protocol import Delivery, Refusal, Since
from shared.topic import Snapshot
from tests.support.client_topic import ClientTopic
from tests.support.played_wire import PlayedWire, messages
from tests.support.topic_log import TOPIC, Edit, Log, edits

PACE = Pace(tick_s=0.1, bookmark_s=30, behind_s=2, answer_s=5, linger_s=60)
BOUNDS = Bounds(high_water_bytes=1_000, high_water_frames=4)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class World:
    """A channel over a model of the log, with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.log = Log()
        self.frames = TopicFrames(TOPIC, lambda: AT, part_bytes=1_000)
        self.channel = Channel(TOPIC, self.frames, PACE, lambda: self.now)

    def load(self) -> None:
        self.channel.begin_load()
        self.channel.finish_load(self.log.snapshot(), self.log.entries)

    def append(self, *record_ids: str) -> None:
        """Append a change set, which the channel takes in and sends if it may."""
        self.take_in(self.log.append([(record_id, False) for record_id in record_ids or ("a",)]))

    def take_in(self, change_set: ChangeSet) -> None:
        self.channel.take_in(change_set)
        self.channel.tick(self.now)

    def wait(self, time_s: float) -> None:
        """Let time pass, with ticks when they are due, as long as the channel is wanted."""
        end = self.now + time_s
        while self.channel.due_at <= end and not self.channel.is_abandoned(self.now):
            self.now = max(self.now, self.channel.due_at)
            self.channel.tick(self.now)
        self.now = end


class Client:
    """A subscriber that reads only when the test says so."""

    def __init__(
        self, world: World, since: Since | None = None, delivery: Delivery = Delivery.BATCH, tick_s: float = 0.0
    ) -> None:
        self.world = world
        self.wire = PlayedWire(BOUNDS)
        self.outbox = self.wire.outbox
        self.refusals: list[Refusal] = []
        self.delivery, self.tick_s = delivery, tick_s
        self.subscription = self.subscribe(since)

    def subscribe(self, since: Since | None) -> Subscription:
        def refused(_: Subscription, refusal: Refusal) -> None:
            self.refusals.append(refusal)

        made = Subscription(
            TOPIC,
            self.outbox,
            since=since,
            asked_at=self.world.now,
            on_refused=refused,
            delivery=self.delivery,
            tick_s=self.tick_s,
        )
        self.world.channel.subscribe(made)
        return made

    def leave(self) -> None:
        self.world.channel.unsubscribe(self.subscription, self.world.now)

    def read(self) -> list[dict[str, Any]]:
        """Return every message that waits."""
        return messages(self.wire.take())

    def brief(self) -> list[tuple[Any, ...]]:
        """Return what every message says of versions."""
        return [(m["op"], m["prev"], m["version"]) if "prev" in m else (m["op"], m["version"]) for m in self.read()]


@pytest.fixture
def world() -> World:
    world = World()
    world.append("a")
    world.append("b")
    world.load()
    return world


def test_a_subscriber_gets_a_snapshot(world: World) -> None:
    (message,) = Client(world).read()
    assert ("snapshot", "1", 2, False) == tuple(message[key] for key in ("op", "epoch", "version", "recovered"))
    assert [{"id": "a", "version": 1, "data": {"at": 1}}, {"id": "b", "version": 2, "data": {"at": 2}}] == (
        message["items"]
    )


def test_the_first_change_goes_out_at_once_and_the_next_ones_together_after_a_tick(world: World) -> None:
    client = Client(world)
    for _ in range(3):
        world.append("a")
    assert [("snapshot", 2), ("changes", 2, 3)] == client.brief()
    world.wait(0.1)
    assert [("changes", 3, 5)] == client.brief()


def test_a_conflated_frame_has_the_last_change_of_each_record(world: World) -> None:
    client = Client(world)
    world.append("a")
    world.append("a", "b")
    world.append("a")
    world.wait(0.1)
    changes = client.read()[-1]["changes"]
    assert [("b", 5), ("a", 6)] == [(change["id"], change["version"]) for change in changes]


def test_subscribers_share_the_same_frame(world: World) -> None:
    clients = [Client(world), Client(world)]
    world.append()
    first, second = (client.wire.take() for client in clients)
    assert first[0] is second[0]
    assert first[1] is second[1]


def test_who_subscribes_between_two_frames_is_not_sent_what_it_knows(world: World) -> None:
    early = Client(world)
    world.append()
    world.append()
    late = Client(world)
    world.wait(0.1)
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 4)] == early.brief()
    assert [("snapshot", 4)] == late.brief()


def test_who_subscribes_between_two_frames_skips_what_it_knows_of_the_next(world: World) -> None:
    Client(world)
    world.append()
    world.append()
    late = Client(world)
    world.append()
    world.wait(0.1)
    assert [("snapshot", 4), ("changes", 3, 5)] == late.brief()


def test_a_client_that_comes_back_gets_only_what_it_missed(world: World) -> None:
    assert [("subscribed", 1), ("changes", 1, 2)] == Client(world, Since("1", 1)).brief()


def test_a_client_that_missed_nothing_is_told_so(world: World) -> None:
    (message,) = Client(world, Since("1", 2)).read()
    assert {
        "op": "subscribed",
        "topic": "servers",
        "workspace": "w_1",
        "epoch": "1",
        "version": 2,
        "recovered": True,
    } == message


@pytest.mark.parametrize("epoch", ["0", "01", "one", ""])
def test_a_client_of_another_epoch_gets_a_snapshot(world: World, epoch: str) -> None:
    assert [("snapshot", 2)] == Client(world, Since(epoch, 1)).brief()


def test_a_client_that_knows_a_later_epoch_waits_for_this_replica(world: World) -> None:
    client = Client(world, Since("2", 2))
    world.append()
    assert [] == client.brief()
    world.log.open_epoch(lost_versions=0)
    world.channel.opened(2)
    world.load()
    assert [("snapshot", 3)] == client.brief()


def test_a_client_that_claims_an_epoch_that_never_was_gets_a_snapshot(world: World) -> None:
    client = Client(world, Since("9" * 40, 2))
    world.wait(2)
    assert world.channel.needs_load
    world.load()
    assert [("snapshot", 2)] == client.brief()


def test_a_client_of_before_the_ring_gets_a_snapshot(world: World) -> None:
    world.log.entries.clear()
    world.load()
    assert [("snapshot", 2)] == Client(world, Since("1", 1)).brief()


def test_a_client_that_has_seen_more_waits_for_this_replica(world: World) -> None:
    client = Client(world, Since("1", 3))
    assert [] == client.brief()
    world.append()
    assert [("subscribed", 3)] == client.brief()


def test_a_topic_that_stays_behind_is_read_again(world: World) -> None:
    unseen = world.log.append([("c", False)])
    client = Client(world, Since("1", 3))
    needs_load = []
    for pause_s in (1.9, 0.1):
        world.wait(pause_s)
        needs_load.append(world.channel.needs_load)
    assert [False, True] == needs_load
    world.load()
    assert [("subscribed", 3)] == client.brief()
    world.take_in(unseen)
    assert [] == client.brief()


def test_a_client_that_claims_what_never_was_gets_a_snapshot(world: World) -> None:
    client = Client(world, Since("1", 1_000))
    world.wait(2)
    world.load()
    assert [("snapshot", 2)] == client.brief()


def test_a_subscriber_of_an_unread_topic_is_answered_when_it_has_been_read() -> None:
    world = World()
    client = Client(world)
    assert world.channel.needs_load
    world.load()
    assert [("snapshot", 0)] == client.brief()
    assert not world.channel.needs_load


def test_a_subscriber_of_an_unreadable_topic_is_told_to_come_back() -> None:
    world = World()
    client = Client(world)
    world.wait(4.9)
    assert [] == client.refusals
    world.wait(0.1)
    refusal = Refusal(
        code="unavailable",
        message="the topic cannot be read at the moment",
        topic="servers",
        workspace="w_1",
        retry_after_ms=1_000,
    )
    assert [refusal] == client.refusals
    world.load()
    assert [] == client.brief()


def test_a_client_that_is_live_is_not_sent_away_while_its_topic_is_read_again(world: World) -> None:
    client = Client(world)
    world.channel.invalidate()
    world.wait(29)
    world.load()
    assert [] == client.refusals
    assert [("snapshot", 2)] == client.brief()


def test_what_comes_while_a_topic_is_read_is_merged() -> None:
    world = World()
    world.append("a")
    client = Client(world)
    world.channel.begin_load()
    snapshot, recent = world.log.snapshot(), list(world.log.entries)
    world.append("b")
    world.channel.finish_load(snapshot, recent)
    assert [("snapshot", 2)] == client.brief()


def test_what_does_not_fit_to_what_was_read_makes_it_be_read_again() -> None:
    world = World()
    snapshot = world.log.snapshot()
    world.log.append([("a", False)])
    world.channel.begin_load()
    world.append("b")
    with pytest.raises(MustRefetch):
        world.channel.finish_load(snapshot, [])
    world.load()
    assert [("snapshot", 2)] == Client(world).brief()


def test_a_new_epoch_while_a_topic_is_read_makes_it_be_read_again() -> None:
    world = World()
    world.channel.begin_load()
    snapshot = world.log.snapshot()
    world.channel.opened(2)
    with pytest.raises(MustRefetch):
        world.channel.finish_load(snapshot, [])


def test_more_changes_than_may_be_kept_while_a_topic_is_read_make_it_be_read_again() -> None:
    world = World()
    change_set = world.log.append([("a", False)])
    world.channel.begin_load()
    for _ in range(MAX_BUFFERED_SETS + 1):
        world.channel.take_in(change_set)
    with pytest.raises(MustRefetch):
        world.channel.finish_load(world.log.snapshot(), [])


def test_a_gap_makes_the_topic_be_read_again_and_brings_its_subscribers_up_to_date(world: World) -> None:
    client = Client(world)
    client.read()
    world.log.append([("a", False)])
    world.append("b")
    assert world.channel.needs_load
    assert [] == client.brief()
    world.load()
    assert [("changes", 2, 4)] == client.brief()


def test_after_a_gap_that_the_log_does_not_hold_any_more_subscribers_get_a_snapshot(world: World) -> None:
    client = Client(world)
    client.read()
    world.append("a")
    client.read()
    world.log.append([("b", False)])
    world.log.entries.clear()
    world.append("c")
    world.load()
    assert [("snapshot", 5)] == client.brief()


def test_a_new_epoch_is_told_by_a_bookmark_until_the_client_asks_again(world: World) -> None:
    client = Client(world)
    client.read()
    world.log.open_epoch(lost_versions=1)
    world.channel.opened(2)
    world.load()
    (bookmark,) = client.read()
    assert ("bookmark", "2", 1) == tuple(bookmark[key] for key in ("op", "epoch", "version"))
    world.append("c")
    assert [] == client.brief()
    client.leave()
    client.subscription = client.subscribe(None)
    assert [("snapshot", 2)] == client.brief()


def test_a_client_that_was_told_of_a_new_epoch_is_told_again_by_later_bookmarks(world: World) -> None:
    client = Client(world)
    world.log.open_epoch(lost_versions=0)
    world.channel.opened(2)
    world.load()
    client.read()
    world.wait(30)
    assert [("bookmark", 2)] == client.brief()


def test_an_epoch_that_is_known_changes_nothing(world: World) -> None:
    world.channel.opened(1)
    assert not world.channel.needs_load


def test_bookmarks_come_every_half_minute_with_the_digest(world: World) -> None:
    client = Client(world)
    client.read()
    world.wait(90)
    bookmarks = client.read()
    assert 3 == len(bookmarks)
    mirror = ClientTopic()
    mirror.ask()
    mirror.receive(Client(world).read()[0])
    assert mirror.digest == bookmarks[0]["digest"]


def test_a_bookmark_does_not_overtake_changes(world: World) -> None:
    client = Client(world)
    client.read()
    world.wait(world.channel.due_at - world.now - 0.02)
    world.append()
    world.now += 0.03
    world.append()
    world.wait(0.2)
    assert [("changes", 2, 3), ("changes", 3, 4), ("bookmark", 4)] == client.brief()


def test_a_check_is_answered_at_once_after_what_was_missed(world: World) -> None:
    client = Client(world)
    world.append()
    world.append()
    client.read()
    world.channel.check(client.subscription)
    assert [("changes", 3, 4), ("bookmark", 4)] == client.brief()


def test_a_check_while_the_topic_is_read_is_answered_after_it(world: World) -> None:
    client = Client(world)
    client.read()
    world.channel.invalidate()
    world.channel.check(client.subscription)
    assert [] == client.brief()
    world.load()
    assert [("bookmark", 2)] == client.brief()
    world.load()
    assert [] == client.brief()


def test_a_client_that_does_not_read_is_skipped_and_catches_up_from_its_own_version(world: World) -> None:
    client = Client(world)
    for _ in range(10):
        world.append("a")
        world.wait(1)
    assert 4 == len(client.outbox)
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 4), ("changes", 4, 5), ("changes", 5, 12)] == (
        client.brief()
    )
    world.append("a")
    assert [("changes", 12, 13)] == client.brief()


def test_a_subscriber_whose_outbox_is_full_is_answered_when_it_has_read(world: World) -> None:
    client = Client(world)
    for _ in range(4):
        world.append("a")
        world.wait(1)
    client.leave()
    client.subscription = client.subscribe(Since("1", 2))
    assert 4 == len(client.outbox)
    assert [("subscribed", 2), ("changes", 2, 6)] == client.brief()[4:]


def test_a_check_of_a_client_whose_outbox_is_full_is_answered_when_it_has_read(world: World) -> None:
    client = Client(world)
    for _ in range(4):
        world.append("a")
        world.wait(1)
    world.channel.check(client.subscription)
    assert 4 == len(client.outbox)
    assert [("changes", 5, 6), ("bookmark", 6)] == client.brief()[4:]


def test_who_has_left_gets_nothing(world: World) -> None:
    client = Client(world)
    client.read()
    client.leave()
    world.append()
    world.wait(60)
    assert [] == client.brief()


def test_a_topic_that_nobody_wants_is_abandoned_after_a_while(world: World) -> None:
    client = Client(world)
    client.leave()
    assert not world.channel.is_abandoned(world.now + 59)
    assert world.channel.due_at <= world.now + 60
    assert world.channel.is_abandoned(world.now + 60)


def test_a_topic_with_a_subscriber_is_not_abandoned(world: World) -> None:
    Client(world)
    assert not world.channel.is_abandoned(world.now + 1e6)


def test_a_thousand_subscribers_share_one_snapshot(world: World) -> None:
    assert 1 == len({id(Client(world).wire.take_one()) for _ in range(1_000)})


def test_each_change_is_told_by_itself_where_a_client_wants_that(world: World) -> None:
    client = Client(world, delivery=Delivery.EACH)
    assert [("snapshot", 2)] == client.brief()
    world.append("a", "b")
    world.append("a")
    world.wait(0.1)
    told = client.read()
    assert [("a", 3), ("b", 4), ("a", 5)] == [(message["id"], message["version"]) for message in told]
    assert {
        "op": "sync",
        "resource": "servers",
        "workspace": "w_1",
        "action": "updated",
        "id": "a",
        "version": 5,
        "epoch": "1",
        "data": {"at": 5},
    } == told[-1]


def test_each_change_that_was_missed_is_told_after_a_resume(world: World) -> None:
    world.append("a")
    client = Client(world, Since("1", 1), Delivery.EACH)
    assert [("subscribed", 1), ("sync", 2), ("sync", 3)] == client.brief()


def test_of_many_changes_that_were_missed_one_slice_waits_at_a_time(world: World) -> None:
    for _ in range(100):
        world.append("a")
    client = Client(world, Since("1", 1), Delivery.EACH)
    assert client.outbox.queued_bytes < 2_000
    told: list[int] = []
    while frame := client.wire.take_one():
        told += [message["version"] for message in messages([frame])]
        assert client.outbox.queued_bytes < 2_000
    assert [1, *range(2, 103)] == told
    world.append("a")
    assert [("sync", 103)] == client.brief()


def test_the_whole_list_is_sent_where_a_client_wants_that(world: World) -> None:
    client = Client(world, delivery=Delivery.FULL)
    assert [("snapshot", 2)] == client.brief()
    world.append("b")
    (full,) = client.read()
    assert ("full", "servers", "w_1", "1", 3) == tuple(
        full[k] for k in ("op", "topic", "workspace", "epoch", "version")
    )
    assert [("a", 1), ("b", 3)] == [(item["id"], item["version"]) for item in full["items"]]


def test_the_whole_list_follows_a_resume_only_where_something_was_missed(world: World) -> None:
    assert [("subscribed", 1), ("full", 2)] == Client(world, Since("1", 1), Delivery.FULL).brief()
    assert [("subscribed", 2)] == Client(world, Since("1", 2), Delivery.FULL).brief()


def test_a_client_that_wants_a_longer_tick_gets_fewer_frames(world: World) -> None:
    patient, eager = Client(world, tick_s=1.0), Client(world)
    frames = 0
    for _ in range(10):
        world.append("a")
        world.wait(0.1)
        frames += len(eager.brief())
    world.wait(1)
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 12)] == patient.brief()
    assert 11 == frames


def test_a_bookmark_waits_for_the_changes_of_those_with_a_longer_tick(world: World) -> None:
    patient, eager = Client(world, tick_s=20.0), Client(world)
    world.wait(world.channel.due_at - world.now - 1)
    world.append()
    world.append()
    world.wait(2)
    assert [("snapshot", 2), ("changes", 2, 3)] == patient.brief()
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 4), ("bookmark", 4)] == eager.brief()
    world.wait(20)
    assert [("changes", 3, 4), ("bookmark", 4)] == patient.brief()


def test_those_who_want_the_same_share_the_same_frame_and_others_do_not(world: World) -> None:
    clients = [Client(world, delivery=delivery) for delivery in (*Delivery, *Delivery)]
    world.append()
    frames = [client.wire.take()[-1] for client in clients]
    assert frames[:3] == frames[3:]
    assert 3 == len(set(frames))


class Deliveries(RuleBasedStateMachine):
    """Clients that read as slowly as they like, over a log that is trimmed, reopened and reread at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.load()
        self.topics = [ClientTopic() for _ in range(3)]
        for topic in self.topics:
            topic.ask()
        self.clients = [
            Client(self.world),
            Client(self.world, delivery=Delivery.EACH),
            Client(self.world, delivery=Delivery.FULL, tick_s=0.5),
        ]
        self.loading: tuple[Snapshot, list[ChangeSet]] | None = None

    @rule(batches=st.lists(edits, min_size=1, max_size=5), pause_s=st.sampled_from([0.0, 0.03, 0.2, 40.0]))
    def append(self, batches: list[list[Edit]], pause_s: float) -> None:
        for batch in batches:
            self.world.take_in(self.world.log.append(batch))
            self.world.wait(pause_s)

    @rule(batch=edits)
    def lose_entry(self, batch: list[Edit]) -> None:
        """Trim an entry that was not read yet."""
        self.world.log.append(batch)
        self.world.log.entries.clear()
        self.world.channel.invalidate()

    @rule(lost_versions=st.integers(0, 3))
    def open_epoch(self, lost_versions: int) -> None:
        self.world.log.open_epoch(lost_versions=lost_versions)
        self.world.channel.opened(self.world.log.epoch)

    @rule()
    def begin_load(self) -> None:
        self.world.channel.begin_load()
        self.loading = (self.world.log.snapshot(), list(self.world.log.entries))

    @precondition(lambda self: self.loading)
    @rule()
    def finish_load(self) -> None:
        assert self.loading is not None
        (snapshot, recent), self.loading = self.loading, None
        try:
            self.world.channel.finish_load(snapshot, recent)
        except MustRefetch:
            self.world.channel.needs_load = True

    @rule(which=st.integers(0, 2), frames=st.integers(1, 10))
    def read(self, which: int, frames: int) -> None:
        for _ in range(frames):
            frame = self.clients[which].wire.take_one()
            if frame is None:
                return
            for message in messages([frame]):
                ask = self.topics[which].receive(message)
                if ask is not None:
                    self.clients[which].leave()
                    self.clients[which].subscription = self.clients[which].subscribe(since_of(ask.since))

    @rule(which=st.integers(0, 2))
    def reconnect(self, which: int) -> None:
        self.clients[which].leave()
        self.topics[which].disconnect()
        old = self.clients[which]
        self.clients[which] = Client(self.world, since_of(self.topics[which].ask().since), old.delivery, old.tick_s)

    @rule(which=st.integers(0, 2))
    def check(self, which: int) -> None:
        self.world.channel.check(self.clients[which].subscription)

    @invariant()
    def clients_hold_what_was_true_at_their_version(self) -> None:
        for topic in self.topics:
            if topic.epoch is not None:
                truth = self.world.log.history[int(topic.epoch), topic.version]
                held = {key: (item.version, item.data) for key, item in topic.items.items()}
                assert {key: (r.version, json.loads(r.data)) for key, r in truth.items()} == held

    @invariant()
    def no_client_meets_a_gap(self) -> None:
        assert [0, 0, 0] == [topic.seen["gaps"] for topic in self.topics]

    @invariant()
    def memory_is_bounded(self) -> None:
        assert all(client.outbox.queued_bytes < 5_000 for client in self.clients)

    def teardown(self) -> None:
        """At rest everyone agrees with the log."""
        if self.world.channel.needs_load or self.loading:
            self.world.load()
        for which, client in enumerate(self.clients):
            if client.refusals:
                self.reconnect(which)
            self.world.channel.check(self.clients[which].subscription)
        self.world.wait(1)
        for which, topic in enumerate(self.topics):
            self.read(which, 1_000)
            assert topic.is_current
            assert (str(self.world.log.epoch), self.world.log.version) == (topic.epoch, topic.version)
        self.clients_hold_what_was_true_at_their_version()


def since_of(since: dict[str, Any] | None) -> Since | None:
    return None if since is None else Since(since["epoch"], since["version"])


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
