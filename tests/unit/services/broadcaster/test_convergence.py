"""Nobody is ever left behind, however slowly they read and whatever becomes of the log: a state machine of it all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.change import ChangeSet
from shared.errors import MustRefetch
from shared.protocol import Delivery, Since
from shared.topic import Snapshot
from tests.support.channel_world import PACE, Client, World
from tests.support.client_topic import ClientTopic
from tests.support.played_wire import messages
from tests.support.topic_log import Edit, Log, edits


class Replica(World):
    """A broadcaster's channel, which reads the log when the test says so."""

    def __init__(self, log: Log, *, part_bytes: int) -> None:
        super().__init__(log, part_bytes=part_bytes)
        self.unread: list[ChangeSet | int] = []
        """Change sets, and the numbers of epochs that were opened."""
        self.loading: tuple[Snapshot, list[ChangeSet]] | None = None

    def read_log(self) -> None:
        unread, self.unread = self.unread, []
        for entry in unread:
            if isinstance(entry, int):
                self.channel.opened(entry)
            else:
                self.take_in(entry)

    def lose_unread(self) -> None:
        self.unread.clear()
        self.channel.invalidate()

    def begin_load(self) -> None:
        self.channel.begin_load()
        self.loading = (self.log.snapshot(), list(self.log.entries))

    def finish_load(self) -> None:
        assert self.loading is not None
        (snapshot, recent), self.loading = self.loading, None
        self.read_log()
        try:
            self.channel.finish_load(snapshot, recent)
        except MustRefetch:
            self.channel.needs_load = True


replicas = st.integers(0, 1)
readers = st.sampled_from([(0, 1), (0,), (1,), ()])
"""Which replicas read the log at once: the others fall behind."""


class Deliveries(RuleBasedStateMachine):
    """Clients that read as slowly as they like, and change between two replicas, of which either may be behind.

    The log is trimmed, reopened and reread at any point.
    """

    part_bytes = 1_000  # all records fit into one frame
    most_bytes = 5_000

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.replicas = [Replica(self.log, part_bytes=self.part_bytes) for _ in range(2)]
        for replica in self.replicas:
            replica.load()
        self.topics = [ClientTopic() for _ in range(3)]
        for topic in self.topics:
            topic.ask()
        self.epochs = [0, 0, 0]
        self.clients = [
            Client(self.replicas[0]),
            Client(self.replicas[0], delivery=Delivery.EACH),
            Client(self.replicas[1], delivery=Delivery.FULL, tick_s=0.5),
        ]

    def note(self, entry: ChangeSet | int, read_by: Iterable[int]) -> None:
        for replica in self.replicas:
            replica.unread.append(entry)
        for number in read_by:
            self.replicas[number].read_log()

    def wait(self, pause_s: float) -> None:
        for replica in self.replicas:
            if pause_s >= PACE.behind_s:  # nobody stays behind for so long
                replica.read_log()
            replica.wait(pause_s)

    @rule(
        batches=st.lists(edits, min_size=1, max_size=5),
        read_by=readers,
        pause_s=st.sampled_from([0.0, 0.03, 0.2, 40.0]),
    )
    def append(self, batches: list[list[Edit]], read_by: tuple[int, ...], pause_s: float) -> None:
        for batch in batches:
            self.note(self.log.append(batch), read_by)
            self.wait(pause_s)

    @rule(number=replicas)
    def read_log(self, number: int) -> None:
        self.replicas[number].read_log()

    @rule(batch=edits)
    def lose_entries(self, batch: list[Edit]) -> None:
        """Trim an entry that was not read yet, and with it all that a replica is behind."""
        self.log.append(batch)
        self.log.entries.clear()
        for replica in self.replicas:
            replica.lose_unread()

    @rule(lost_versions=st.integers(0, 3), read_by=readers)
    def open_epoch(self, lost_versions: int, read_by: tuple[int, ...]) -> None:
        self.log.open_epoch(lost_versions=lost_versions)
        self.note(self.log.epoch, read_by)

    @rule(number=replicas)
    def begin_load(self, number: int) -> None:
        self.replicas[number].begin_load()

    @precondition(lambda self: any(replica.loading for replica in self.replicas))
    @rule()
    def finish_loads(self) -> None:
        for replica in self.replicas:
            if replica.loading:
                replica.finish_load()

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

    @rule(which=st.integers(0, 2), number=replicas)
    def reconnect(self, which: int, number: int) -> None:
        self.clients[which].leave()
        self.topics[which].disconnect()
        old, since = self.clients[which], since_of(self.topics[which].ask().since)
        self.clients[which] = Client(self.replicas[number], since, old.delivery, old.tick_s)

    @rule(which=st.integers(0, 2), ahead=replicas, batch=edits, is_epoch_new=st.booleans())
    def overtake(self, which: int, ahead: int, batch: list[Edit], is_epoch_new: bool) -> None:
        """Let a client see what one replica has not read yet, and go there."""
        if is_epoch_new:
            self.open_epoch(lost_versions=1, read_by=(ahead,))
        self.note(self.log.append(batch), (ahead,))
        self.replicas[ahead].load()
        self.reconnect(which, ahead)
        self.wait(0.2)
        self.read(which, 1_000)
        self.reconnect(which, 1 - ahead)

    @rule(which=st.integers(0, 2))
    def check(self, which: int) -> None:
        self.clients[which].check()

    @invariant()
    def clients_hold_what_was_true_at_their_version(self) -> None:
        for topic in self.topics:
            if topic.epoch is not None:
                truth = self.log.history[int(topic.epoch), topic.version]
                held = {key: (item.version, item.data) for key, item in topic.items.items()}
                assert {key: (r.version, json.loads(r.data)) for key, r in truth.items()} == held

    @invariant()
    def no_client_meets_a_gap(self) -> None:
        assert [0, 0, 0] == [topic.seen["gaps"] for topic in self.topics]

    @invariant()
    def nobody_is_led_back_into_an_epoch_that_is_over(self) -> None:
        for which, topic in enumerate(self.topics):
            epoch = int(topic.epoch or 0)
            assert epoch >= self.epochs[which]
            self.epochs[which] = epoch

    @invariant()
    def memory_is_bounded(self) -> None:
        assert all(client.outbox.queued_bytes < self.most_bytes for client in self.clients)

    def teardown(self) -> None:
        """At rest everyone agrees with the log."""
        for replica in self.replicas:
            replica.read_log()
            if replica.channel.needs_load or replica.loading:
                replica.load()
        for which, client in enumerate(self.clients):
            if client.refusals:
                self.reconnect(which, which % 2)
            self.clients[which].check()
        self.wait(1)
        for which, topic in enumerate(self.topics):
            self.read(which, 1_000)
            assert topic.is_current
            assert (str(self.log.epoch), self.log.version) == (topic.epoch, topic.version)
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
