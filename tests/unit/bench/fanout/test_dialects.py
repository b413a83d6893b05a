"""The benchmark's clients are live when every change reaches them, and not before."""

from __future__ import annotations

import json

import pytest

from bench.fanout.dialects import MusterClient, NatsClient, Plan, Refused, SocketIoClient
from bench.fanout.wire import masked, unmasked

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def plan(dialect: str, *, since: int | None = None, until: int = 0) -> Plan:
    return Plan(
        group="g",
        dialect=dialect,
        port=1,
        count=1,
        tokens=("t",),
        topic="servers",
        workspace="w_1",
        since=since,
        until=until,
    )


def hear(client: MusterClient, **message: object) -> bytes:
    return client.receive(bytearray(unmasked(json.dumps(message, separators=(",", ":")).encode())))


def welcomed(*, since: int | None = None, until: int = 0) -> tuple[MusterClient, bytes]:
    client = MusterClient(plan("muster", since=since, until=until), 1)
    assert masked(b'{"op": "auth", "token": "t"}') == client.receive(bytearray(SWITCHED))
    return client, hear(client, op="welcome")


def test_a_new_client_is_live_with_the_last_part_of_its_snapshot() -> None:
    client, said = welcomed()
    assert b"since" not in said
    hear(client, op="snapshot", version=7, part=1, parts=2)
    assert not client.is_live
    hear(client, op="snapshot", version=7, part=2, parts=2)
    assert client.is_live


def test_a_client_that_resumes_is_live_with_what_it_has_missed() -> None:
    client, said = welcomed(since=5, until=7)
    assert b'"since": {"epoch": "1", "version": 5}' in said
    hear(client, op="subscribed", version=5)
    hear(client, op="changes", prev=5, version=6)
    assert not client.is_live
    hear(client, op="changes", prev=6, version=7)
    assert client.is_live


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Busy\r\n\r\n",
        SWITCHED + bytes((0x88, 2)) + (4429).to_bytes(2, "big"),
        SWITCHED + unmasked(b'{"op":"error","code":"unavailable"}'),
    ],
)
def test_a_client_that_is_turned_away_says_so(answer: bytes) -> None:
    with pytest.raises(Refused):
        MusterClient(plan("muster"), 0).receive(bytearray(answer))


def test_what_comes_after_the_last_step_is_left_to_be_counted() -> None:
    client, _ = welcomed()
    snapshot = b'{"op":"snapshot","version":7,"part":1,"parts":1}'
    data = bytearray(unmasked(snapshot) + unmasked(b"change"))
    client.receive(data)
    assert unmasked(b"change") == data


def test_the_peers_have_their_own_ways() -> None:
    socketio = SocketIoClient(plan("socketio"), 0)
    assert masked(b"40") == socketio.receive(bytearray(SWITCHED + unmasked(b'0{"sid":"x"}')))
    socketio.receive(bytearray(unmasked(b'40{"sid":"y"}')))
    nats = NatsClient(plan("nats"), 0)
    assert b"SUB bench 1" in nats.receive(bytearray(SWITCHED + unmasked(b"INFO {}\r\n")))
    nats.receive(bytearray(unmasked(b"PONG\r\n")))
    assert (True, True) == (socketio.is_live, nats.is_live)
