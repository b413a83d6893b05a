"""Conformance vectors: what a client sends, what an echoing server must answer, and how it must end."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.support.raw_websocket import RawWebSocket
from tests.support.websocket_frames import Frame, Opcode


class Vector(NamedTuple):
    """Frames that are sent together, and the messages and pongs that must come back, in this order.

    With `failure` the server must then fail the connection with this code, else it must still be there and close as
    asked. `case` is the number of the case of the Autobahn test suite that it mirrors. `chop` is as in
    `RawWebSocket.send`. Where the answers and the failure are asked for in one go, the failure alone will do: that is
    what Autobahn calls non-strict.
    """

    case: str
    name: str
    sent: tuple[Frame, ...]
    answers: tuple[Frame, ...] = ()
    failure: int | None = None
    chop: int | None = None


def vectors(listed: Iterable[Vector]) -> pytest.MarkDecorator:
    """Run a test with each of these as `vector`, named by number and name."""
    listed = list(listed)
    names = [f"{vector.case} {vector.name}" for vector in listed]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("vector", listed, ids=names)


async def play(client: RawWebSocket, vector: Vector) -> None:
    """Send what a vector sends, and check what comes."""
    if vector.failure is None:
        await client.send(*vector.sent, chop=vector.chop)
        for answer in vector.answers:
            assert answer == await client.receive()
        await client.finish()
        return
    with suppress(ConnectionError):  # the server may have hung up before everything was sent
        await client.send(*vector.sent, chop=vector.chop)
    await expect_failure(client, vector.failure, possible=vector.answers)


async def expect_failure(client: RawWebSocket, code: int, *, possible: Iterable[Frame] = ()) -> None:
    """Check that the server closes with this code and ends the connection, after `possible` answers or none."""
    allowed = list(possible)
    while (frame := await client.receive()) is not None and frame.opcode != Opcode.CLOSE:
        assert frame in allowed
        allowed.remove(frame)
    assert frame is not None, "the connection ended without a close frame"
    assert code == int.from_bytes(frame.payload[:2], "big"), frame
    frame.payload[2:].decode()
    assert await client.receive() is None
