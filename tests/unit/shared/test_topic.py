"""The state of a topic, and the proof that clients who follow the protocol never apply across a gap and converge."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.errors import MustRefetch
from shared.position import Position
from shared.protocol import Subscribed, bookmark_of, changes_of, encode, snapshot_parts
from shared.topic import Record, Resume, Snapshot, TopicState, conflate, digest_of
from tests.support.client_topic import Ask, ClientTopic
from tests.support.topic_log import TOPIC, Edit, Log, edits, log_of

AT = datetime(2026, 1, 1, tzinfo=UTC)

change_sets_of_edits = st.lists(edits, max_size=12)


def state_of(log: Log, **bounds: int) -> TopicState:
    """Fold a log from its beginning."""
    state = TopicState(Snapshot(1, 0, ()), **bounds)
    for entry in log.entries:
        assert state.apply(entry)
    return state


def three_updates() -> Log:
    return log_of([[("a", False)], [("a", False)], [("b", False), ("a", False)]])


def test_a_fold_holds_the_last_data_and_version_of_each_record() -> None:
    state = state_of(three_updates())
    assert Snapshot(1, 4, (Record("b", 3, b'{"at": 3}'), Record("a", 4, b'{"at": 4}'))) == state.snapshot()


def test_a_deleted_record_is_gone() -> None:
    state = state_of(log_of([[("a", False), ("b", False)], [("a", True)]]))
    assert {"b"} == set(state.records)


@given(change_sets_of_edits)
def test_the_digest_is_that_of_the_records_that_stand(batches: list[list[Edit]]) -> None:
    state = state_of(log_of(batches))
    assert sum(digest_of(r.id, r.version) for r in state.records.values()) % 2**32 == state.digest
    assert TopicState(state.snapshot()).digest == state.digest


def test_the_digest_is_the_sum_of_checksums_of_id_and_version() -> None:
    state = TopicState(Snapshot(1, 7, (Record("s_1", 3, b"{}"), Record("s_2", 7, b"{}"))))
    # the checksums of "s_1:3" and "s_2:7" as gzip writes them
    assert (0x54EE423E + 0x51C5387E) % 2**32 == state.digest


def test_a_change_set_that_is_known_changes_nothing() -> None:
    log = three_updates()
    state = state_of(log)
    assert not state.apply(log.entries[0])
    assert log.snapshot() == state.snapshot()


def test_only_the_unknown_part_of_a_change_set_is_applied() -> None:
    log = log_of([[("a", False), ("b", False), ("c", False)]])
    state = TopicState(Snapshot(1, 2, (Record("a", 1, b"{}"), Record("b", 2, b"{}"))))
    assert state.apply(log.entries[0])
    assert (Record("b", 2, b"{}"), Record("c", 3, b'{"at": 3}')) == (state.records["b"], state.records["c"])


def test_a_change_set_after_a_gap_is_refused() -> None:
    state = TopicState(Snapshot(1, 0, ()))
    with pytest.raises(MustRefetch):
        state.apply(three_updates().entries[1])


def test_a_change_set_of_a_later_epoch_is_refused() -> None:
    log = log_of([])
    log.open_epoch(lost_versions=0)
    log.append([("a", False)])
    with pytest.raises(MustRefetch):
        TopicState(Snapshot(1, 0, ())).apply(log.entries[0])


def test_a_change_set_of_an_epoch_that_is_over_is_skipped() -> None:
    state = TopicState(Snapshot(2, 0, ()))
    assert not state.apply(three_updates().entries[0])
    assert 0 == state.version


def test_the_oldest_changes_leave_a_ring_that_has_too_many() -> None:
    state = state_of(three_updates(), ring_changes=2)
    assert (2, Resume.RECOVER, Resume.REFETCH) == (state.ring_floor, state.resume(1, 2), state.resume(1, 1))


def test_the_oldest_changes_leave_a_ring_that_is_too_large() -> None:
    state = state_of(three_updates(), ring_bytes=120)
    assert 3 == state.ring_floor


def test_a_client_of_another_epoch_cannot_resume() -> None:
    state = state_of(three_updates())
    assert [Resume.REFETCH, Resume.REFETCH] == [state.resume(0, 3), state.resume(2, 3)]


def test_a_client_that_has_seen_more_has_to_wait() -> None:
    assert Resume.WAIT is state_of(three_updates()).resume(1, 5)


def test_changes_that_the_ring_forgot_cannot_be_asked_for() -> None:
    state = state_of(three_updates(), ring_changes=2)
    for version in (1, 5):
        with pytest.raises(MustRefetch):
            state.since(version)


def test_a_span_carries_the_last_change_of_each_record_in_order() -> None:
    (span,) = state_of(three_updates()).since(0)
    assert (0, 4, [("b", 3), ("a", 4)]) == (span.prev, span.version, [(c.id, c.version) for c in span.changes])


def test_nothing_missed_is_no_span() -> None:
    assert [] == state_of(three_updates()).since(4)


def test_conflation_makes_a_span_of_one_change_that_is_larger_than_a_span_may_be() -> None:
    log = log_of([[("a", False), ("b", False)]])
    spans = list(conflate(0, log.entries[0].changes, span_bytes=1))
    assert [(0, 1), (1, 2)] == [(span.prev, span.version) for span in spans]


@given(change_sets_of_edits, st.data(), st.integers(1, 1000))
def test_a_snapshot_and_the_changes_after_it_give_the_later_snapshot(
    batches: list[list[Edit]], data: st.DataObject, span_bytes: int
) -> None:
    log = log_of(batches)
    state = state_of(log)
    version = data.draw(st.integers(0, state.version))
    records = dict(log.history[1, version])
    for span in state.since(version, span_bytes=span_bytes):
        assert version == span.prev
        for change in span.changes:
            records.pop(change.id, None)
            if change.data is not None:
                records[change.id] = Record(change.id, change.version, bytes(change.data))
        version = span.version
        assert log.history[1, version] == records
    assert state.version == version


@given(change_sets_of_edits, st.integers(0, 12), st.integers(0, 12), st.integers(1, 40))
def test_a_warmed_ring_resumes_from_whatever_the_log_still_holds(
    batches: list[list[Edit]], trimmed: int, unseen: int, ring_changes: int
) -> None:
    log = log_of(batches)
    seen = log_of(batches[: max(0, len(batches) - unseen)])
    state = TopicState(seen.snapshot(), ring_changes=ring_changes)
    held = log.entries[trimmed:]
    state.warm(held)
    reach = [entry.prev for entry in held if entry.prev < seen.version]
    floor = max(min(reach, default=seen.version), seen.version - ring_changes)
    assert floor == state.ring_floor
    for entry in log.entries:
        state.apply(entry)
    assert log.snapshot().records == TopicState(state.snapshot()).snapshot().records
    assert log.history[1, log.version] == state.records


def test_a_ring_is_not_warmed_across_a_hole() -> None:
    log = three_updates()
    state = TopicState(log.snapshot())
    state.warm([log.entries[0], log.entries[2]])
    assert 2 == state.ring_floor


def test_a_ring_is_not_warmed_with_changes_that_end_before_the_state() -> None:
    log = three_updates()
    state = TopicState(log.snapshot())
    state.warm(log.entries[:2])
    assert 4 == state.ring_floor


def test_a_ring_is_not_warmed_with_another_epoch() -> None:
    log = three_updates()
    state = TopicState(Snapshot(2, 4, ()))
    state.warm(log.entries)
    assert 4 == state.ring_floor


class Convergence(RuleBasedStateMachine):
    """A log, a replica that folds it, and a client: frames are lost, duplicated and reordered at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.replica = TopicState(self.log.snapshot(), ring_changes=6)
        self.seen_seq = 0
        self.client = ClientTopic()
        self.pending: Ask | None = self.client.ask()
        self.wire: list[dict[str, Any]] = []

    @rule(batches=st.lists(edits, min_size=1, max_size=4))
    def append(self, batches: list[list[Edit]]) -> None:
        for batch in batches:
            self.log.append(batch)

    @rule(batches=st.lists(edits, min_size=1, max_size=4))
    def append_and_send(self, batches: list[list[Edit]]) -> None:
        """Let the replica send a frame for each change set, as it does while nothing is wrong."""
        for batch in batches:
            self.log.append(batch)
            self.follow_log(10)
            self.send_spans(max(self.replica.version - len(batch), self.replica.ring_floor), span_bytes=1000)

    @rule(count=st.integers(1, 8))
    def trim(self, count: int) -> None:
        del self.log.entries[:count]

    @rule(lost_versions=st.integers(0, 3))
    def open_epoch(self, lost_versions: int) -> None:
        self.log.open_epoch(lost_versions=lost_versions)

    @rule()
    def restart_replica(self) -> None:
        """Read the topic again; the tail then brings some entries once more."""
        self.replica = TopicState(self.log.snapshot(), ring_changes=6)
        self.replica.warm(self.log.entries)
        self.seen_seq = max(0, self.log.seq - 3)

    @rule(count=st.integers(1, 5))
    def follow_log(self, count: int) -> None:
        try:
            for _ in range(count):
                self.follow_one()
        except MustRefetch:
            self.restart_replica()

    def follow_one(self) -> None:
        if self.replica.epoch != self.log.epoch:
            raise MustRefetch("a new epoch was opened")
        following = [e for e in self.log.entries if e.position > Position(self.log.epoch, self.seen_seq)]
        if following:
            if following[0].position.seq != self.seen_seq + 1:
                raise MustRefetch("entries were trimmed")
            self.replica.apply(following[0])
            self.seen_seq += 1
        elif self.seen_seq < self.log.seq:
            raise MustRefetch("entries were trimmed")

    @rule(data=st.data(), span_bytes=st.integers(1, 500))
    def send_changes(self, data: st.DataObject, span_bytes: int) -> None:
        self.send_spans(data.draw(st.integers(self.replica.ring_floor, self.replica.version)), span_bytes)

    def send_spans(self, version: int, span_bytes: int) -> None:
        spans = self.replica.since(version, span_bytes=span_bytes)
        self.wire += (as_received(changes_of(TOPIC, self.replica.epoch, span)) for span in spans)

    @rule()
    def send_bookmark(self) -> None:
        self.wire.append(as_received(bookmark_of(TOPIC, self.replica, AT)))

    @rule(batches=st.lists(edits, min_size=1, max_size=4))
    def append_and_deliver(self, batches: list[list[Edit]]) -> None:
        self.append_and_send(batches)
        for _ in range(len(self.wire)):
            self.give(self.wire.pop(0))

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def deliver_some_in_any_order(self, data: st.DataObject) -> None:
        for frame in data.draw(st.lists(st.sampled_from(self.wire), min_size=1, max_size=6)):
            self.give(frame)

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def lose_any(self, data: st.DataObject) -> None:
        self.wire.remove(data.draw(st.sampled_from(self.wire)))

    @rule()
    def reconnect(self) -> None:
        """Ask again; what is still on the wire comes late, as it never would on one connection."""
        self.pending = self.client.ask()

    @rule()
    def answer(self) -> None:
        """Answer what the client asked, as a server must; not yet where the replica is behind."""
        if self.pending is None:
            return
        since = self.pending.since
        version = since["version"] if since else 0
        is_same_epoch = since is not None and since["epoch"] == str(self.replica.epoch)
        verdict = self.replica.resume(self.replica.epoch, version) if is_same_epoch else Resume.REFETCH
        if verdict is Resume.WAIT:
            return
        self.pending = None
        if verdict is Resume.REFETCH:
            messages: list[msgspec.Struct] = [*snapshot_parts(TOPIC, self.replica.snapshot(), part_bytes=60)]
        else:
            epoch = str(self.replica.epoch)
            messages = [Subscribed(topic="servers", workspace="w_1", epoch=epoch, version=version)]
            messages += (changes_of(TOPIC, self.replica.epoch, span) for span in self.replica.since(version))
        for message in messages:
            self.give(as_received(message))

    @rule()
    def answer_soon(self) -> None:
        self.answer()

    def give(self, frame: dict[str, Any]) -> None:
        self.pending = self.client.receive(frame) or self.pending

    @invariant()
    def the_client_holds_exactly_what_was_true_at_its_version(self) -> None:
        if self.client.epoch is not None:
            truth = self.log.history[int(self.client.epoch), self.client.version]
            held = {key: (item.version, item.data) for key, item in self.client.items.items()}
            assert {key: (r.version, json.loads(r.data)) for key, r in truth.items()} == held

    @invariant()
    def the_replica_holds_exactly_what_was_true_at_its_version(self) -> None:
        assert self.log.history[self.replica.epoch, self.replica.version] == self.replica.records

    def teardown(self) -> None:
        """At rest everyone agrees."""
        for _ in range(1 + self.log.seq):
            self.follow_log(5)
        assert (self.log.epoch, self.log.version) == (self.replica.epoch, self.replica.version)
        self.reconnect()
        self.answer()
        self.answer()  # after a new epoch, the first answer may lead to a second question
        held = (self.client.epoch, self.client.version, self.client.digest)
        assert (str(self.log.epoch), self.log.version, TopicState(self.log.snapshot()).digest) == held
        self.the_client_holds_exactly_what_was_true_at_its_version()


def as_received(message: msgspec.Struct) -> dict[str, Any]:
    """Return a message as a client decodes it."""
    decoded: dict[str, Any] = json.loads(encode(message))
    return decoded


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
