"""Nobody is ever left behind, however slowly they read and whatever becomes of the log: a state machine of it all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.change import ChangeSet
from shared.errors import MustRefetch
from shared.protocol import Delivery, Since
from shared.topic import Snapshot
from tests.support.channel_world import Client, World
from tests.support.client_topic import ClientTopic
from tests.support.played_wire import messages
from tests.support.topic_log import Edit, edits


class Deliveries(RuleBasedStateMachine):
    """Clients that read as slowly as they like, over a log that is trimmed, reopened and reread at any point."""

    part_bytes = 1_000  # all records fit into one frame
    most_bytes = 5_000

    def __init__(self) -> None:
        super().__init__()
        self.world = World(part_bytes=self.part_bytes)
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
        assert all(client.outbox.queued_bytes < self.most_bytes for client in self.clients)

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


class DeliveriesInParts(Deliveries):
    """The same with snapshots and changes that come in several frames, none of which may be missed."""

    part_bytes = 150  # one change, or three records
    most_bytes = 1_000_000  # a catch-up is as long as the ring when nothing in it can be merged


def since_of(since: dict[str, Any] | None) -> Since | None:
    return None if since is None else Since(since["epoch"], since["version"])


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

TestDeliveriesInParts = DeliveriesInParts.TestCase
TestDeliveriesInParts.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
