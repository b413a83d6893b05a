"""Autobahn's case 5: messages in fragments, with control frames between them, and fragments that belong nowhere."""

from __future__ import annotations

import pytest

from tests.support.raw_websocket import EACH_FRAME, RawWebSocket
from tests.support.websocket_frames import Frame, more, ping, pong, text
from tests.support.websocket_vectors import Vector, expect_failure, play, vectors

_TWO = (text("fragment1", fin=False), more("fragment2"))
_WHOLE = text("fragment1fragment2")
_PINGED = (_TWO[0], ping(b"ping payload"), _TWO[1])
_STRAY = (more("non-continuation payload"), text("Hello, world!"))
_OPEN_STRAY = (more("non-continuation payload", fin=False), text("Hello, world!"))
_CHOPS = (("in one segment", None), ("frame by frame", EACH_FRAME), ("octet by octet", 1))
_FIVE = tuple(f"fragment{number}" for number in range(1, 6))


def _chopped(
    first: int,
    name: str,
    sent: tuple[Frame, ...],
    answers: tuple[Frame, ...] = (),
    failure: int | None = None,
) -> list[Vector]:
    """Return three cases in a row, which differ in how the frames are cut into segments."""
    return [
        Vector(f"5.{first + place}", f"{name}, {how}", sent, answers, failure, chop)
        for place, (how, chop) in enumerate(_CHOPS)
    ]


_VECTORS = (
    Vector("5.1", "a ping in two fragments", (ping(b"fragment1", fin=False), more("fragment2")), failure=1002),
    Vector("5.2", "a pong in two fragments", (pong(b"fragment1", fin=False), more("fragment2")), failure=1002),
    *_chopped(3, "a text in two fragments", _TWO, (_WHOLE,)),
    *_chopped(6, "a ping between two fragments", _PINGED, (pong(b"ping payload"), _WHOLE)),
    *_chopped(9, "a last fragment of nothing", _STRAY, (), 1002),
    *_chopped(12, "a fragment of nothing", _OPEN_STRAY, (), 1002),
    Vector("5.15", "a fragment after a whole message", (*_TWO, more("3", fin=False), text("4")), (_WHOLE,), 1002),
    Vector("5.16", "a fragment of nothing before a message", (more("fragment1", fin=False), *_TWO) * 2, (), 1002),
    Vector("5.17", "a last fragment of nothing before a message", (more("fragment1"), *_TWO) * 2, (), 1002),
    Vector("5.18", "a message within a message", (text("fragment1", fin=False), text("fragment2")), (), 1002),
)


@vectors(_VECTORS)
async def test_fragments_make_up_a_message_or_are_refused(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


@pytest.mark.parametrize("chop", [None, EACH_FRAME, 1], ids=["in one segment", "5.19", "5.20 octet by octet"])
async def test_pings_are_answered_before_the_message_they_are_in_is_whole(
    client: RawWebSocket, chop: int | None
) -> None:
    """5.19 and 5.20, which wait for a second where this waits for the pong."""
    await client.send(text(_FIVE[0], fin=False), more(_FIVE[1], fin=False), ping(b"pongme 1!"), chop=chop)
    assert pong(b"pongme 1!") == await client.receive()
    rest = (more(_FIVE[2], fin=False), more(_FIVE[3], fin=False), ping(b"pongme 2!"))
    await client.send(*rest, chop=chop)
    assert pong(b"pongme 2!") == await client.receive()
    await client.send(more(_FIVE[4]), chop=chop)
    assert text("".join(_FIVE)) == await client.receive()
    await client.finish()


async def test_a_fragment_after_an_answered_message_is_refused(client: RawWebSocket) -> None:
    """5.15 as Autobahn's strict outcome has it: the message was answered before the stray fragment is sent."""
    await client.send(*_TWO)
    assert _WHOLE == await client.receive()
    await client.send(more("fragment3", fin=False), text("fragment4"))
    await expect_failure(client, 1002)
