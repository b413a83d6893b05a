"""The messages of the sync protocol as they stand on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.change import Change
from shared.errors import Malformed
from shared.names import Topic
from shared.protocol import (
    Auth,
    Check,
    Refusal,
    Since,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
    Workspace,
    bookmark_of,
    changes_of,
    decode_client_message,
    encode,
    snapshot_parts,
)
from shared.topic import Record, Snapshot, Span, TopicState

TOPIC = Topic("w_1", "servers")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"op":"auth","token":"t"}', Auth("t")),
        ('{"op":"subscribe","topic":"servers"}', Subscribe("servers")),
        (
            '{"op":"subscribe","topic":"servers","workspace":"w_1","delivery":"each","since":{"epoch":"3","version":41}}',
            Subscribe("servers", "w_1", "each", Since("3", 41)),
        ),
        ('{"op":"unsubscribe","topic":"servers"}', Unsubscribe("servers")),
        ('{"op":"check","topic":"servers","workspace":"w_1"}', Check("servers", "w_1")),
        ('{"op":"check","topic":"servers","later":{"field":1}}', Check("servers")),
    ],
)
def test_messages_of_clients_are_read(text: str, message: object) -> None:
    assert message == decode_client_message(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "truncated"),
        ("nonsense", "malformed"),
        ("[]", "Expected `object`"),
        ('{"token":"t"}', "missing required field `op`"),
        ('{"op":"dance"}', "Invalid value 'dance'"),
        ('{"op":"auth"}', "missing required field `token`"),
        ('{"op":"subscribe","topic":7}', "Expected `str`, got `int` - at `$.topic`"),
        ('{"op":"subscribe","topic":"s","since":{"epoch":3,"version":1}}', "at `$.since.epoch`"),
        ('{"op":"subscribe","topic":"s","since":{"epoch":"3","version":-1}}', "at `$.since.version`"),
        ('{"op":"subscribe","topic":"s","since":{"epoch":"3","version":1.5}}', "at `$.since.version`"),
        ('{"op":"auth","token":"t","x":' + "[" * 16_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_malformed_message_is_said(text: str, complaint: str) -> None:
    with pytest.raises(Malformed) as raised:
        decode_client_message(text)
    assert complaint in str(raised.value)


@given(st.text())
def test_no_text_is_worse_than_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        decode_client_message(text)


def test_a_welcome_names_workspaces_and_times() -> None:
    welcome = Welcome(
        session="c_1", server_time=AT, heartbeat_s=25, expires_at=None, workspaces=(Workspace("w_1", "One", "viewer"),)
    )
    assert {
        "op": "welcome",
        "session": "c_1",
        "server_time": "2026-01-02T03:04:05Z",
        "heartbeat_s": 25,
        "expires_at": None,
        "workspaces": [{"id": "w_1", "name": "One", "role": "viewer"}],
    } == json.loads(encode(welcome))


def test_a_refusal_carries_only_what_applies() -> None:
    assert b'{"op":"error","code":"bad_request","message":"no"}' == encode(Refusal(code="bad_request", message="no"))


def test_a_recovery_says_so() -> None:
    message = Subscribed(topic="servers", workspace="w_1", epoch="3", version=41)
    assert (
        b'{"op":"subscribed","topic":"servers","workspace":"w_1","epoch":"3","version":41,"recovered":true}'
        == encode(message)
    )


def test_changes_pass_on_the_bytes_of_their_producer() -> None:
    changes = (Change("s_1", "updated", 43, msgspec.Raw(b'{"n": 1.10}')), Change("s_2", "deleted", 44))
    assert (
        b'{"op":"changes","topic":"servers","workspace":"w_1","epoch":"3","prev":41,"version":44,"changes":['
        b'{"id":"s_1","action":"updated","version":43,"data":{"n": 1.10}},'
        b'{"id":"s_2","action":"deleted","version":44,"data":null}]}'
    ) == encode(changes_of(TOPIC, 3, Span(41, 44, changes)))


def test_a_bookmark_says_where_a_topic_stands() -> None:
    state = TopicState(Snapshot(3, 44, (Record("s_1", 44, b"{}"),)))
    assert {
        "op": "bookmark",
        "topic": "servers",
        "workspace": "w_1",
        "epoch": "3",
        "version": 44,
        "digest": state.digest,
        "at": "2026-01-02T03:04:05Z",
    } == json.loads(encode(bookmark_of(TOPIC, state, AT)))


def test_an_empty_topic_is_one_part_without_items() -> None:
    (part,) = snapshot_parts(TOPIC, Snapshot(3, 0, ()))
    assert (
        b'{"op":"snapshot","topic":"servers","workspace":"w_1","epoch":"3","version":0,"recovered":false,'
        b'"part":1,"parts":1,"items":[]}'
    ) == encode(part)


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 500))
def test_the_parts_of_a_snapshot_carry_every_record_once(sizes: list[int], part_bytes: int) -> None:
    records = tuple(Record(f"s_{n}", n, b'"' + b"x" * size + b'"') for n, size in enumerate(sizes))
    parts = [
        json.loads(encode(part)) for part in snapshot_parts(TOPIC, Snapshot(3, 99, records), part_bytes=part_bytes)
    ]
    assert list(range(1, len(parts) + 1)) == [part["part"] for part in parts]
    assert {(len(parts), 99, "3", False)} == {(p["parts"], p["version"], p["epoch"], p["recovered"]) for p in parts}
    items = [(item["id"], item["version"], item["data"]) for part in parts for item in part["items"]]
    assert [(r.id, r.version, json.loads(r.data)) for r in records] == items


def test_a_part_is_not_larger_than_asked_for_unless_one_record_is() -> None:
    records = tuple(Record(f"s_{n}", n, b'"' + b"x" * 1_000 + b'"') for n in range(100))
    sizes = [len(encode(part)) for part in snapshot_parts(TOPIC, Snapshot(3, 99, records), part_bytes=10_000)]
    assert max(sizes) <= 10_200
    assert len(sizes) == 12
