"""The messages of the Python client as they are on the wire."""

from __future__ import annotations

import json

import pytest

from muster_client.errors import ProtocolFault
from muster_client.messages import Auth, Check, Position, Subscribe, Sync, Welcome, decode, encode


def test_a_subscription_says_only_what_is_asked_for() -> None:
    assert {"op": "subscribe", "topic": "servers"} == json.loads(encode(Subscribe("servers")))
    everything = {
        "op": "subscribe",
        "topic": "servers",
        "workspace": "w_1",
        "delivery": "full",
        "tick_ms": 500,
        "since": {"epoch": "3", "version": 41},
    }
    assert everything == json.loads(encode(Subscribe("servers", "w_1", "full", 500, Position("3", 41))))


def test_the_other_messages_of_a_client() -> None:
    assert {"op": "auth", "token": "t"} == json.loads(encode(Auth("t")))
    assert {"op": "check", "topic": "servers"} == json.loads(encode(Check("servers")))


def test_fields_that_are_not_known_are_ignored() -> None:
    welcome = decode(
        '{"op":"welcome","session":"c","server_time":"2026-01-01T00:00:00Z","heartbeat_s":25,"expires_at":null,'
        '"workspaces":[{"id":"w_1","name":"One","role":"owner","newer":1}],"newer":{"deeply":[1]}}'
    )
    assert isinstance(welcome, Welcome)
    assert ("w_1", None) == (welcome.workspaces[0].id, welcome.expires_at)


def test_a_single_change_names_its_topic_as_resource() -> None:
    sync = decode(
        '{"op":"sync","resource":"products","workspace":"w_1","action":"deleted","id":"p_1","version":42,"epoch":"3",'
        '"data":null}'
    )
    assert isinstance(sync, Sync)
    assert ("products", 42, None) == (sync.topic, sync.version, sync.data)


@pytest.mark.parametrize("frame", ["", "[]", '{"op":"surprise"}', '{"op":"bookmark","topic":"a"}', b"{}", "[" * 10_000])
def test_what_the_protocol_does_not_know_is_a_fault(frame: str | bytes) -> None:
    with pytest.raises(ProtocolFault):
        decode(frame)


def test_a_position_is_read_as_it_is_written() -> None:
    assert Position("3", 41) == Position.parse(str(Position("3", 41)))
    for wrong in ("", "3", "3-", "-41", "3-x", "3-٤"):
        with pytest.raises(ValueError, match="EPOCH-VERSION"):
            Position.parse(wrong)
