"""Autobahn's case 7: a close frame is answered by one of the same code, once; a wrong one fails the connection."""

from __future__ import annotations

import pytest

from tests.support.raw_websocket import RawWebSocket
from tests.support.websocket_frames import Frame, Opcode, close, more, ping, text
from tests.support.websocket_vectors import expect_failure

_HELLO = text("Hello World!")
_LONGEST_REASON = b"*" * 123

_VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
_INVALID = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)


def _numbered(group: str, codes: tuple[int, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "code", codes, ids=[f"{group}.{number} {code}" for number, code in enumerate(codes, 1)]
    )


async def expect_close(client: RawWebSocket, answer: Frame) -> None:
    """Check that this close frame is the next thing that comes, and the last."""
    assert answer == await client.receive()
    assert await client.receive() is None


async def test_7_1_1_a_message_is_echoed_before_the_close(client: RawWebSocket) -> None:
    await client.send(_HELLO)
    assert _HELLO == await client.receive()
    await client.send(close())
    await expect_close(client, close())


async def test_7_1_1_a_close_in_the_segment_of_a_message_is_answered_even_if_the_message_is_not(
    client: RawWebSocket,
) -> None:
    """The server answers a close frame at once, and the application may send nothing after that."""
    await client.send(_HELLO, close())
    await expect_failure(client, 1000, possible=[_HELLO])


@pytest.mark.parametrize(
    "after",
    [
        pytest.param((close(1001),), id="7.1.2 another close"),
        pytest.param((ping(b"still there?"),), id="7.1.3 a ping"),
        pytest.param((_HELLO,), id="7.1.4 a message"),
    ],
)
async def test_what_follows_a_close_is_not_answered(client: RawWebSocket, after: tuple[Frame, ...]) -> None:
    await client.send(close(), *after)
    await expect_close(client, close())


async def test_7_1_5_a_close_within_a_message_is_answered(client: RawWebSocket) -> None:
    await client.send(text("fragment1", fin=False), close(), more("fragment2"))
    await expect_close(client, close())


async def test_7_1_6_a_close_after_a_large_message_is_answered(client: RawWebSocket) -> None:
    """For information in Autobahn: the messages may come back or not."""
    large = text("BAsd7&jh23" * 26_214)
    await client.send(large, _HELLO, close(), ping())
    await expect_failure(client, 1000, possible=[large, _HELLO])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(close(None), id="7.3.1 no code"),
        pytest.param(close(1000), id="7.3.3 a code"),
        pytest.param(close(1000, b"Hello World!"), id="7.3.4 a code and a reason"),
        pytest.param(close(1000, _LONGEST_REASON), id="7.3.5 the longest reason"),
        pytest.param(close(1000, "κόσμε".encode()), id="a reason that is not ASCII"),
    ],
)
async def test_a_close_is_answered_by_the_same(client: RawWebSocket, sent: Frame) -> None:
    await client.send(sent)
    await expect_close(client, sent)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(Frame(Opcode.CLOSE, b"a"), 1002, id="7.3.2 half a code"),
        pytest.param(close(1000, _LONGEST_REASON + b"*"), 1002, id="7.3.6 a reason that is too long"),
        pytest.param(close(1000, b"\xce\xba\xed\xa0\x80"), 1007, id="7.5.1 a reason that is not UTF-8"),
        pytest.param(close(1000)._replace(fin=False), 1002, id="a close frame that is not the last fragment"),
    ],
)
async def test_a_malformed_close_is_refused(client: RawWebSocket, sent: Frame, code: int) -> None:
    await client.send(sent)
    await expect_failure(client, code)


@_numbered("7.7", _VALID)
async def test_a_valid_code_is_answered_by_the_same(client: RawWebSocket, code: int) -> None:
    await client.send(close(code))
    await expect_close(client, close(code))


@_numbered("7.9", _INVALID)
async def test_an_invalid_code_is_refused(client: RawWebSocket, code: int) -> None:
    await client.send(close(code))
    await expect_failure(client, 1002)


@_numbered("7.13", (5000, 65535))
async def test_a_code_out_of_all_ranges_is_refused(client: RawWebSocket, code: int) -> None:
    """For information in Autobahn; the second is 65536 there, which a frame cannot hold."""
    await client.send(close(code))
    await expect_failure(client, 1002)


@pytest.mark.parametrize("code", [1012, 1013, 1014])
async def test_codes_that_were_registered_later_are_answered(client: RawWebSocket, code: int) -> None:
    """Not in Autobahn, which left them out of both of its lists; see IANA's registry of close codes."""
    await client.send(close(code))
    await expect_close(client, close(code))


async def test_a_code_that_stands_for_a_broken_handshake_is_refused(client: RawWebSocket) -> None:
    """Not in Autobahn: 1015 is never sent (RFC 6455, section 7.4.1)."""
    await client.send(close(1015))
    await expect_failure(client, 1002)


async def test_a_client_that_hangs_up_without_closing_leaves_the_server_well(client: RawWebSocket) -> None:
    """Not in Autobahn: half a frame, then the end of what the client sends."""
    await client.send_octets(b"\x81\xff")
    client.hang_up()
    assert await client.receive() is None


async def test_a_close_in_the_segment_of_text_that_is_not_utf8_is_answered(client: RawWebSocket) -> None:
    """Not in Autobahn, which sends nothing after such a text."""
    await client.send(text(b"\xed\xa0\x80"), close())
    assert await client.close_code() in {1000, 1007}


async def test_octets_after_a_close_are_ignored(client: RawWebSocket) -> None:
    """Not in Autobahn: what follows a close frame is no frame at all (RFC 6455, section 1.4)."""
    await client.send(close(4000), Frame(15, reserved=7))
    await expect_close(client, close(4000))
