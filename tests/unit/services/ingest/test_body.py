"""Bodies are read within bounds of size and time."""

import asyncio
from collections.abc import Sequence

import pytest

from services.ingest.body import ClientGone, read_body
from shared.io.probes import Message, Receive
from shared.io.problem import HttpError


def receiving(messages: Sequence[Message]) -> Receive:
    """Give the messages one after the other, then nothing more."""
    rest = iter(messages)

    async def receive() -> Message:
        message = next(rest, None)
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        return message

    return receive


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_parts_are_put_together() -> None:
    receive = receiving([part(b"a", more=True), part(b"b", more=True), part(b"", more=False)])
    assert b"ab" == await read_body(receive, limit_bytes=2)


async def test_request_without_a_body_is_empty() -> None:
    assert b"" == await read_body(receiving([{"type": "http.request"}]), limit_bytes=2)


@pytest.mark.parametrize("messages", [[part(b"abc", more=False)], [part(b"ab", more=True), part(b"c", more=True)]])
async def test_one_byte_too_many_is_refused(messages: list[Message]) -> None:
    with pytest.raises(HttpError) as raised:
        await read_body(receiving(messages), limit_bytes=2)
    assert (413, "too_large") == (raised.value.status, raised.value.code)


@pytest.mark.parametrize("before", [[], [part(b"a", more=True)]])
async def test_client_that_goes_away_gets_no_answer(before: list[Message]) -> None:
    with pytest.raises(ClientGone):
        await read_body(receiving([*before, {"type": "http.disconnect"}]), limit_bytes=2)


async def test_body_that_does_not_end_in_time_is_refused() -> None:
    with pytest.raises(HttpError) as raised:
        await read_body(receiving([part(b"a", more=True)]), limit_bytes=2, timeout_s=0.001)
    assert (408, "too_slow") == (raised.value.status, raised.value.code)
