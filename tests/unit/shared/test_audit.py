"""Each entry of the audit log is tied to all before it: nothing is changed, taken out or cut off unnoticed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import msgspec
import pytest

from shared.audit import GENESIS, Event, Head, Link, Origin, Verifier, chained, hash_of

AT = datetime(2026, 11, 24, 22, 0, 0, 1500, tzinfo=UTC)


def event(number: int = 1, **fields: object) -> Event:
    known = {"workspace_id": "w_1", "at": AT, "actor": "u_1", "action": "updated", "resource": "tags"}
    given = known | {"record_id": f"t_{number}", "version": number, "origin": Origin("192.0.2.1", "r-1")} | fields
    return Event(**given)  # type: ignore[arg-type]  # keyword by keyword


def verdict(links: list[Link], recorded: Head) -> str | None:
    verifier = Verifier()
    return next((reason for reason in map(verifier.follow, links) if reason), None) or verifier.end(recorded)


def test_the_hash_is_what_the_documentation_says() -> None:
    written = event(details={"b": "ü", "a": ["x", "y"]}, version=None, at=AT.astimezone(timezone(timedelta(hours=2))))
    encoded = (
        '["w_1",7,"2026-11-24T22:00:00.001500Z","u_1","updated","tags","t_1",null,"192.0.2.1","r-1",'
        '{"a":["x","y"],"b":"ü"}]'
    )
    assert sha256(b"p" * 32 + encoded.encode()).digest() == hash_of(written, 7, b"p" * 32)
    assert json.loads(encoded)[3] == written.actor


def test_a_chain_holds_in_whatever_parts_it_was_written() -> None:
    first = chained(Head(), [event(1), event(2)])
    second = chained(Head(2, first[-1].hash), [event(3)])
    links = [*first, *second]
    assert [(1, GENESIS), (2, links[0].hash), (3, links[1].hash)] == [(link.seq, link.previous_hash) for link in links]
    assert verdict(links, Head(3, links[2].hash)) is None
    assert verdict([], Head()) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workspace_id", "w_2"),
        ("at", AT + timedelta(microseconds=1)),
        ("actor", "u_2"),
        ("action", "deleted"),
        ("resource", "zones"),
        ("record_id", "t_9"),
        ("version", None),
        ("origin", Origin("192.0.2.2", "r-1")),
        ("origin", Origin("192.0.2.1", "r-2")),
        ("details", {"a": "b"}),
    ],
)
def test_whatever_is_changed_is_noticed(name: str, value: object) -> None:
    links = chained(Head(), [event(1), event(2), event(3)])
    changed = msgspec.structs.replace(links[1].event, **{name: value})
    forged = [links[0], msgspec.structs.replace(links[1], event=changed), links[2]]
    assert "it is not what was recorded" == verdict(forged, Head(3, links[2].hash))


def test_what_is_missing_is_noticed() -> None:
    links = chained(Head(), [event(number) for number in range(1, 5)])
    recorded = Head(4, links[-1].hash)
    assert "entry 1 is missing" == verdict(links[1:], recorded)
    assert "entry 2 is missing" == verdict([links[0], *links[2:]], recorded)
    assert "entries up to 4 were recorded, and are missing" == verdict(links[:3], recorded)
    assert "entries up to 4 were recorded, and are missing" == verdict([], recorded)


def test_a_part_that_was_made_anew_is_noticed() -> None:
    links = chained(Head(), [event(1), event(2)])
    other = chained(Head(), [event(1, actor="u_2"), event(2)])
    assert "it is not chained to the entry before it" == verdict([links[0], other[1]], Head(2, links[1].hash))
    assert (verdict(other, Head(2, links[1].hash)) or "").startswith("the chain was recorded up to entry 2")
    more = chained(Head(), [event(1), event(2), event(3)])
    assert (verdict(more, Head(2, links[1].hash)) or "").startswith("the chain was recorded up to entry 2 only")


def test_an_origin_survives_its_text() -> None:
    for origin in (Origin("2001:db8::1", "abc-1"), Origin("unknown", "")):
        assert origin == Origin.parse(str(origin))
