"""An answer is written in one piece, and nothing is held back for longer than a turn of the loop."""

import asyncio
from collections.abc import Callable

import pytest

from shared.io.http_protocol import JoiningTransport


class FakeTransport(asyncio.Transport):
    """Notes what is written, and in how many pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def inner() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
async def joining(inner: FakeTransport) -> JoiningTransport:
    return JoiningTransport(inner, asyncio.get_running_loop())


async def turn_of_the_loop() -> None:
    await asyncio.sleep(0)


async def test_head_and_body_are_one_piece(joining: JoiningTransport, inner: FakeTransport) -> None:
    joining.write(b"head")
    joining.write(b"body")
    await turn_of_the_loop()
    assert [b"headbody"] == inner.pieces


async def test_head_of_a_stream_does_not_wait_for_its_first_part(
    joining: JoiningTransport, inner: FakeTransport
) -> None:
    joining.write(b"head")
    await turn_of_the_loop()
    assert [b"head"] == inner.pieces
    joining.write(b"part")
    await turn_of_the_loop()
    assert [b"head", b"part"] == inner.pieces


async def test_answers_that_follow_each_other_stay_in_order(joining: JoiningTransport, inner: FakeTransport) -> None:
    for data in (b"a", b"b", b"c", b"d", b"e"):
        joining.write(data)
    await turn_of_the_loop()
    assert b"abcde" == b"".join(inner.pieces)


@pytest.mark.parametrize("before", [lambda joining: joining.write(b"head"), lambda _: None])
async def test_closing_writes_what_is_held(
    joining: JoiningTransport, inner: FakeTransport, before: Callable[[JoiningTransport], None]
) -> None:
    before(joining)
    held = len(joining._held)
    joining.close()
    await turn_of_the_loop()
    assert held == len(b"".join(inner.pieces))
    assert inner.closed


async def test_what_is_held_is_not_written_to_a_connection_that_was_dropped(
    joining: JoiningTransport, inner: FakeTransport
) -> None:
    joining.write(b"head")
    joining.abort()
    await turn_of_the_loop()
    assert ([], True) == (inner.pieces, inner.closed)
