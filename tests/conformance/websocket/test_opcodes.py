"""Autobahn's case 4: an opcode that RFC 6455 reserves fails the connection."""

from __future__ import annotations

from tests.support.raw_websocket import RawWebSocket
from tests.support.websocket_frames import Frame, ping, text
from tests.support.websocket_vectors import Vector, expect_failure, play, vectors

_HELLO = text("Hello, world!")


def _listed() -> list[Vector]:
    listed = []
    for group, kind, first in (("4.1", "non-control", 3), ("4.2", "control", 11)):
        with_payload = b"reserved opcode payload"
        listed += [
            Vector(f"{group}.1", f"{kind} opcode {first}", (Frame(first),), failure=1002),
            Vector(f"{group}.2", f"{kind} opcode {first + 1}", (Frame(first + 1, with_payload),), failure=1002),
            Vector(
                f"{group}.3",
                f"{kind} opcode {first + 2} after a message",
                (_HELLO, Frame(first + 2), ping()),
                (_HELLO,),
                1002,
            ),
            Vector(
                f"{group}.4",
                f"{kind} opcode {first + 3} with payload after a message",
                (_HELLO, Frame(first + 3, with_payload), ping()),
                (_HELLO,),
                1002,
            ),
            Vector(
                f"{group}.5",
                f"{kind} opcode {first + 4} after a message, octet by octet",
                (_HELLO, Frame(first + 4, with_payload), ping()),
                (_HELLO,),
                1002,
                1,
            ),
        ]
    return listed


@vectors(_listed())
async def test_reserved_opcodes_are_refused(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


async def test_a_message_before_a_refused_opcode_is_echoed_when_there_was_time(client: RawWebSocket) -> None:
    """4.1.3 to 4.2.5 as Autobahn's strict outcome has it."""
    await client.send(_HELLO)
    assert _HELLO == await client.receive()
    await client.send(Frame(5), ping())
    await expect_failure(client, 1002)
