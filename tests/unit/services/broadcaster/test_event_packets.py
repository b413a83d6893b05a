"""What Socket.IO clients read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from services.broadcaster.event_packets import Part, Update, complaint_packet, initial_packet
from services.broadcaster.frames import PACKETS, Frame, frame_of
from shared.change import Action, Change
from shared.names import Topic
from shared.protocol import Refusal, snapshot_parts, sync_of
from shared.topic import Record, Snapshot

WEBSITES = Topic("w_1", "websites")


def said(packet: Any) -> Any:  # noqa: ANN401  (engineio ships no types)
    """Return the event and its argument."""
    text = packet.encode()
    assert text.startswith("42")
    return json.loads(text[2:])


@pytest.mark.parametrize(
    ("action", "kind", "data", "fields"),
    [
        ("created", "add", b'{"primary_domain":"a.example"}', {"primary_domain": "a.example"}),
        ("updated", "update", '{"primary_domain":"ä"}'.encode(), {"primary_domain": "ä"}),
        ("updated", "update", b"{}", {}),
        ("deleted", "delete", None, {}),
    ],
)
def test_a_change_is_an_update_with_the_whole_record(
    action: Action, kind: str, data: bytes | None, fields: dict[str, Any]
) -> None:
    change = Change("ws_1", action, 7, None if data is None else msgspec.Raw(data))
    (update,) = frame_of(sync_of(WEBSITES, 3, change)).packets
    assert isinstance(update, Update)
    assert (WEBSITES, "3", 7) == (update.topic, update.epoch, update.version)
    item = {"id": "ws_1", "website_id": "ws_1", "version": 7, **fields}
    assert ["websites:update", {"eventId": 7, "type": kind, "data": item}] == said(update.packet)


@pytest.mark.parametrize("records", [0, 1, 5])
@pytest.mark.parametrize("part_bytes", [1, 100_000])
def test_the_parts_of_a_snapshot_are_one_event(records: int, part_bytes: int) -> None:
    held = tuple(Record(f"ws_{n}", n, b'{"status":"active"}') for n in range(1, records + 1))
    parts: list[Any] = []
    for message in snapshot_parts(WEBSITES, Snapshot(3, 9, held), part_bytes=part_bytes):
        parts += frame_of(message).packets
    assert all(isinstance(part, Part) for part in parts)
    assert [False] * (len(parts) - 1) + [True] == [part.is_last for part in parts]
    items = [{"id": r.id, "website_id": r.id, "version": r.version, "status": "active"} for r in held]
    expected = {"items": items, "total": records, "version": 9, "lastEventId": 9}
    assert ["websites:initial", expected] == said(initial_packet(parts))


def test_packets_are_made_once_for_all() -> None:
    frame = Frame([sync_of(WEBSITES, 3, Change("ws_1", "deleted", 7))])
    assert PACKETS(frame) is PACKETS(frame)
    (part,) = snapshot_parts(WEBSITES, Snapshot(3, 9, ()))
    parts: Any = frame_of(part).packets
    assert initial_packet(parts) is initial_packet(parts)


def test_a_refusal_is_an_error_with_what_is_known_of_it() -> None:
    refusal = Refusal(code="too_many", message="enough", topic="websites", retry_after_ms=5)
    expected = {"code": "too_many", "message": "enough", "topic": "websites", "retry_after_ms": 5}
    assert ["error", expected] == said(complaint_packet(refusal))
