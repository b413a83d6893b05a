"""Frames are encoded once for all who get the same."""

from __future__ import annotations

import json
import random
import zlib
from datetime import UTC, datetime

import msgspec
import pytest

from services.broadcaster.frames import Frame, Frames, TopicFrames
from shared.change import Change, ChangeSet
from shared.names import Topic
from shared.position import Position
from shared.protocol import Delivery, Refusal
from shared.topic import Snapshot, TopicState

TOPIC = Topic("w_1", "servers")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def topic_frames() -> TopicFrames:
    return TopicFrames(TOPIC, lambda: AT)


def change(state: TopicState, record_id: str, data: bytes = b"{}") -> None:
    version = state.version + 1
    changes = (Change(record_id, "updated", version, msgspec.Raw(data)),)
    state.apply(ChangeSet(Position(state.epoch, version), TOPIC, version - 1, version, 0, "", "", changes))


def state_after(*record_ids: str, ring_changes: int = 100) -> TopicState:
    state = TopicState(Snapshot(3, 0, ()), ring_changes=ring_changes)
    for record_id in record_ids:
        change(state, record_id)
    return state


def ops(frames: Frames) -> list[str]:
    return [json.loads(frame.payloads[0])["op"] for frame in frames]


def test_a_frame_knows_its_size_in_bytes() -> None:
    state = state_after()
    change(state, "s_1", '{"name":"Zürich"}'.encode())
    (frame,) = topic_frames().since(state, 0)
    assert 4 + len(frame.payloads[0]) == len(frame.plain) == frame.size_bytes


def test_a_snapshot_is_encoded_once_for_each_version() -> None:
    frames, state = topic_frames(), state_after("s_1")
    first = frames.snapshot(state)
    assert first is frames.snapshot(state)
    change(state, "s_2")
    assert 2 == json.loads(frames.snapshot(state)[0].payloads[0])["version"]


def test_changes_are_encoded_once_for_each_span() -> None:
    frames, state = topic_frames(), state_after("s_1", "s_2")
    assert frames.since(state, 1) is frames.since(state, 1)
    assert [1, 0] == [json.loads(frames.since(state, version)[0].payloads[0])["prev"] for version in (1, 0)]


def test_a_span_is_encoded_again_when_the_topic_has_changed() -> None:
    frames, state = topic_frames(), state_after("s_1")
    frames.since(state, 0)
    change(state, "s_2")
    assert 2 == json.loads(frames.since(state, 0)[0].payloads[0])["version"]


@pytest.mark.parametrize("delivery", [Delivery.BATCH, Delivery.EACH])
def test_no_more_is_kept_for_those_who_come_back_than_may_be(
    monkeypatch: pytest.MonkeyPatch, delivery: Delivery
) -> None:
    monkeypatch.setattr("services.broadcaster.frames.MAX_CACHED_BYTES", 10_000)
    frames, state = topic_frames(), state_after()
    for number in range(50):
        change(state, f"s_{number}", b'"%s"' % (b"x" * 500))
    spans = [frames.missed(state, version, delivery)[0] for version in range(50)]
    kept = [span for version, span in enumerate(spans) if span is frames.missed(state, version, delivery)[0]]
    assert 0 < sum(frame.size_bytes for span in kept for frame in span) <= 10_000


def test_the_whole_list_is_kept_however_large_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.broadcaster.frames.MAX_CACHED_BYTES", 0)
    frames, state = topic_frames(), state_after("s_1", "s_2")
    assert frames.since(state, 0, Delivery.FULL) is frames.since(state, 1, Delivery.FULL)


def test_the_same_version_of_another_epoch_is_something_else() -> None:
    frames = topic_frames()
    frames.snapshot(state_after("s_1"))
    assert "4" == json.loads(frames.snapshot(TopicState(Snapshot(4, 1, ())))[0].payloads[0])["epoch"]


def test_a_span_that_the_ring_forgot_is_a_snapshot() -> None:
    frames, state = topic_frames(), state_after("s_1", "s_2", "s_3", ring_changes=1)
    assert (["snapshot"], ["changes"]) == (ops(frames.since(state, 1)), ops(frames.since(state, 2)))


def test_nothing_missed_is_no_frame() -> None:
    assert () == topic_frames().since(state_after("s_1"), 1)


def test_what_is_larger_than_a_part_comes_in_several_frames() -> None:
    frames, state = TopicFrames(TOPIC, lambda: AT, part_bytes=200), state_after("s_1", "s_2", "s_3")
    for record_id in ("s_1", "s_2", "s_3"):
        change(state, record_id, b'"%s"' % (b"x" * 150))
    assert ["snapshot"] * 3 == ops(frames.snapshot(state))
    for delivery, op in ((Delivery.BATCH, "changes"), (Delivery.EACH, "sync")):
        assert [op] * 3 == ops(frames.since(state, 3, delivery))


def test_a_bookmark_tells_the_time_and_the_digest() -> None:
    state = state_after("s_1")
    bookmark = json.loads(topic_frames().bookmark(state).payloads[0])
    assert ("2026-01-02T03:04:05Z", state.digest, 1) == (bookmark["at"], bookmark["digest"], bookmark["version"])


def test_a_deflated_frame_is_smaller_and_says_the_same() -> None:
    state = state_after()
    change(state, "s_1", b'{"notes":"%s"}' % (b"muster " * 100))
    (frame,) = topic_frames().since(state, 0)
    assert len(frame.deflated) < len(frame.plain) / 3
    head, length = frame.deflated[:2]
    offset = 4 if length == 126 else 2
    inflated = zlib.decompressobj(wbits=-15).decompress(frame.deflated[offset:] + b"\x00\x00\xff\xff")
    assert (0xC1, frame.payloads[0]) == (head, inflated)
    assert frame.deflated is frame.deflated


def test_a_message_that_deflating_makes_no_smaller_stays_as_it_is() -> None:
    frame = topic_frames().subscribed(state_after("s_1"), 1)
    assert 0x81 == frame.deflated[0] or len(frame.deflated) < len(frame.plain)
    noise = Frame([Refusal(code="bad_request", message=str(random.Random(1).getrandbits(200)))])
    assert len(noise.deflated) <= len(noise.plain)


@pytest.mark.parametrize(
    ("size", "head"), [(125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65_536, b"\x81\x7f" + b"\0" * 5 + b"\x01\0\0")]
)
def test_lengths_are_written_as_the_protocol_says(size: int, head: bytes) -> None:
    empty = len(Frame([Refusal(code="bad_request", message="")]).payloads[0])
    frame = Frame([Refusal(code="bad_request", message="x" * (size - empty))])
    assert head == frame.plain[: len(head)]
    assert size == len(frame.plain) - len(head)


def test_many_changes_that_are_told_one_by_one_are_written_together() -> None:
    state = state_after("s_1", "s_2", "s_3")
    (frame,) = topic_frames().since(state, 0, Delivery.EACH)
    assert [1, 2, 3] == [json.loads(payload)["version"] for payload in frame.payloads]
