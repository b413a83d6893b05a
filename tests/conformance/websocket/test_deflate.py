"""Autobahn's cases 12 and 13: compressed messages, and what is agreed about them (RFC 7692).

The server agrees to compress without taking over context in either direction, so that one compressed frame can be
written to many connections, and none of them costs a window.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import pytest
import pytest_asyncio

from tests.support.deflate import TAIL, Deflate
from tests.support.raw_websocket import RawWebSocket, raw_websocket
from tests.support.websocket_frames import RSV1, Frame, Opcode, binary, close, fragments, more, ping, pong, text
from tests.support.websocket_vectors import expect_failure

LIMIT = 1_000_000
NO_TAKEOVER = {"server_no_context_takeover": None, "client_no_context_takeover": None}

_MESSAGES = 6
"""How many messages of each kind are sent; Autobahn sends a thousand and measures the time."""

_PROSE = "der die das und nicht ein Geist der stets verneint habe nun ach Philosophie Juristerei Medizin"


class Sort(NamedTuple):
    """A sort of data; `number` is that of its group in Autobahn, whose own data these stand for."""

    number: int
    name: str
    opcode: Opcode
    data: bytes


def _sorts() -> tuple[Sort, ...]:
    chance, words = random.Random(12), _PROSE.split()
    prose = " ".join(chance.choice(words) for _ in range(40_000)).encode()
    bitmap = bytes((x * y >> 6) + chance.randrange(3) & 0xFF for y in range(512) for x in range(512))
    records = [{"id": f"s_{n}", "cpu_percent": chance.random() * 100, "tags": ["db", "eu"]} for n in range(3000)]
    rows = "".join(f"<tr><td class='name'>{n}</td><td>{chance.random():.6f}</td></tr>\n" for n in range(4000))
    return (
        Sort(1, "prose", Opcode.BINARY, prose),
        Sort(2, "a bitmap", Opcode.BINARY, bitmap),
        Sort(3, "noise", Opcode.BINARY, chance.randbytes(200_000)),
        Sort(4, "JSON", Opcode.TEXT, json.dumps(records).encode()),
        Sort(5, "HTML", Opcode.TEXT, rows.encode()),
    )


SORTS = _sorts()

# of each: the size of a message, and that of its fragments (0: none)
_SIZES = (
    *((size, 0) for size in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)),
    *((size, 256) for size in (8192, 16384, 32768, 65536, 131072)),
    *((131072, size) for size in (1024, 4096, 32768)),
)

_BITS = "client_max_window_bits"
_BITS_OF_SERVER = "server_max_window_bits"
_LEAST = "permessage-deflate; server_no_context_takeover"

# of each: what the client asks of the server, as Autobahn has it, and how that is offered
_OFFERS = (
    ("nothing", "permessage-deflate"),
    ("no takeover", _LEAST),
    ("the least window", f"permessage-deflate; {_BITS_OF_SERVER}=9"),
    ("the greatest window", f"permessage-deflate; {_BITS_OF_SERVER}=15"),
    ("no takeover, the least window", f"{_LEAST}; {_BITS_OF_SERVER}=9"),
    ("no takeover, the greatest window", f"{_LEAST}; {_BITS_OF_SERVER}=15"),
    ("any of three", ", ".join((f"{_LEAST}; {_BITS_OF_SERVER}=9", _LEAST, "permessage-deflate"))),
)


def _deflate(client: RawWebSocket) -> Deflate:
    assert client.deflate is not None, "the server does not agree to compress"
    return client.deflate


def compressed(client: RawWebSocket, message: Frame) -> Frame:
    """Return a message as the client sends it: compressed, in one frame."""
    return message._replace(payload=_deflate(client).compress(message.payload), reserved=RSV1)


def deflated(octets: bytes) -> bytes:
    """Compress by itself, as nothing but a message."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(octets) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


async def echo(client: RawWebSocket, sort: Sort, size: int, fragment: int) -> None:
    """Send messages out of one sort of data, and check what comes back."""
    for number in range(_MESSAGES):
        at = number * size % (len(sort.data) - size)
        message = Frame(sort.opcode, sort.data[at : at + size])
        sent = compressed(client, message)
        await client.send(*(fragments(sent, fragment) if fragment else (sent,)))
        assert message == await client.receive()
    await client.finish()


def _numbered() -> list[object]:
    return [
        pytest.param(
            size, fragment, id=f"{number} {size} octets" + (f" in fragments of {fragment}" if fragment else "")
        )
        for number, (size, fragment) in enumerate(_SIZES, 1)
    ]


@pytest_asyncio.fixture
async def client(echo_port: int) -> AsyncIterator[RawWebSocket]:
    """Give a connection that compresses, as browsers offer it."""
    async with raw_websocket(echo_port, offers=f"permessage-deflate; {_BITS}") as client:
        _deflate(client)
        yield client


@pytest.mark.parametrize(("size", "fragment"), _numbered())
@pytest.mark.parametrize("sort", SORTS, ids=[f"12.{sort.number} {sort.name}" for sort in SORTS])
async def test_compressed_messages_are_echoed(echo_port: int, sort: Sort, size: int, fragment: int) -> None:
    async with raw_websocket(echo_port, offers="permessage-deflate") as client:
        await echo(client, sort, size, fragment)


@pytest.mark.parametrize(("size", "fragment"), _numbered())
@pytest.mark.parametrize("offers", [pytest.param(o, id=f"13.{n} {name}") for n, (name, o) in enumerate(_OFFERS, 1)])
async def test_what_is_agreed_is_kept(echo_port: int, offers: str, size: int, fragment: int) -> None:
    """A client that decompresses with the window and the takeover that were agreed understands what it gets."""
    async with raw_websocket(echo_port, offers=offers) as client:
        bits = _deflate(client).parameters.get("server_max_window_bits")
        assert ("server_max_window_bits=9" not in offers) or bits == "9"
        assert _BITS not in _deflate(client).parameters, "the client did not offer it"
        await echo(client, SORTS[3], size, fragment)


@pytest.mark.parametrize("offers", [offers for _, offers in _OFFERS])
async def test_no_context_is_taken_over(echo_port: int, offers: str) -> None:
    """Muster's own choice; a server may answer with both, asked or not (RFC 7692, section 7.1.1)."""
    async with raw_websocket(echo_port, offers=offers) as client:
        assert NO_TAKEOVER.items() <= _deflate(client).parameters.items()
        message = text("the same again and again " * 10)
        for _ in range(3):
            await client.send(compressed(client, message))
            assert message == await client.receive()  # decompressed with nothing but itself
        assert 3 == client.inflated
        await client.finish()


async def test_the_window_of_the_client_is_answered_only_where_it_was_offered(echo_port: int) -> None:
    for bits in (9, 12, 15):
        async with raw_websocket(echo_port, offers=f"permessage-deflate; {_BITS}={bits}") as client:
            assert int(_deflate(client).parameters.get(_BITS) or bits) <= bits
            await echo(client, SORTS[3], 32768, 0)


async def test_a_message_may_come_uncompressed_although_compression_is_agreed(client: RawWebSocket) -> None:
    """RFC 7692, section 6: each message says by RSV1 whether it is compressed."""
    for message in (text("plain"), text("small"), binary(b"\x00")):
        await client.send(message)
        assert message == await client.receive()
        await client.send(compressed(client, message))
        assert message == await client.receive()
    await client.send(*fragments(text("plain in fragments"), 3))
    assert text("plain in fragments") == await client.receive()
    await client.finish()


async def test_control_frames_stand_between_compressed_fragments(client: RawWebSocket) -> None:
    message = text("between fragments " * 50)
    first, *rest = fragments(compressed(client, message), 9)
    await client.send(first, ping(b"uncompressed"), *rest)
    assert pong(b"uncompressed") == await client.receive()
    assert message == await client.receive()
    await client.finish()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(b"\x00", b"", id="7.2.3.6 an empty message"),
        pytest.param(b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello", id="7.2.3.1 one block"),
        pytest.param(b"\x00\x05\x00\xfa\xffHello\x00", b"Hello", id="7.2.3.3 a block that is stored"),
        pytest.param(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello", id="7.2.3.4 a block that says it is the last"),
        pytest.param(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello", id="7.2.3.5 two blocks"),
    ],
)
async def test_every_form_of_deflate_is_understood(client: RawWebSocket, payload: bytes, expected: bytes) -> None:
    """The examples of RFC 7692, with the section of each; twice, because nothing may be left of the first."""
    for _ in range(2):
        await client.send(text(payload, reserved=RSV1))
        assert text(expected) == await client.receive()
    await client.finish()


async def test_an_empty_last_fragment_ends_a_compressed_message(client: RawWebSocket) -> None:
    message = text("whole " * 100)
    await client.send(compressed(client, message)._replace(fin=False), more())
    assert message == await client.receive()
    await client.finish()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param((ping(b"x", reserved=RSV1),), 1002, id="RSV1 in a ping"),
        pytest.param((close(1000, reserved=RSV1),), 1002, id="RSV1 in a close frame"),
        pytest.param((text(deflated(b"x"), reserved=2),), 1002, id="RSV2"),
        pytest.param((text(deflated(b"x"), reserved=1),), 1002, id="RSV3"),
        pytest.param((text(deflated(b"x"), reserved=RSV1 | 2),), 1002, id="RSV1 and RSV2"),
        pytest.param(
            (text(deflated(b"x"), fin=False, reserved=RSV1), more(reserved=RSV1)), 1002, id="RSV1 in a continuation"
        ),
        pytest.param((text(b"x", fin=False), more(deflated(b"x"), reserved=RSV1)), 1002, id="RSV1 too late"),
        pytest.param((text(b"\xff" * 20, reserved=RSV1),), 1002, id="what is no deflate"),
        pytest.param((text(deflated(b"\xed\xa0\x80"), reserved=RSV1),), 1007, id="text that is not UTF-8"),
        pytest.param((binary(deflated(bytes(LIMIT + 1)), reserved=RSV1),), 1009, id="more than the limit"),
        pytest.param((binary(deflated(bytes(20 * LIMIT)), reserved=RSV1),), 1009, id="twenty times the limit"),
    ],
)
async def test_what_is_wrong_is_refused(client: RawWebSocket, sent: tuple[Frame, ...], code: int) -> None:
    """RFC 7692, sections 6 and 7.2.2; the limit is that of the message as it was before it was compressed."""
    with suppress(ConnectionError):
        await client.send(*sent)
    await expect_failure(client, code)


async def test_fragments_are_refused_when_they_decompress_to_too_much_together(client: RawWebSocket) -> None:
    sent = binary(deflated(bytes(20 * LIMIT)), reserved=RSV1)
    with suppress(ConnectionError):
        await client.send(*fragments(sent, 100))
    await expect_failure(client, 1009)


async def test_a_message_of_the_greatest_size_is_echoed_compressed(client: RawWebSocket) -> None:
    for data in (bytes(LIMIT), random.Random(1).randbytes(LIMIT // 2)):
        await client.send(compressed(client, binary(data)))
        assert binary(data) == await client.receive()
    await client.finish()


async def test_a_compressed_message_comes_octet_by_octet(client: RawWebSocket) -> None:
    message = text("slowly " * 40)
    await client.send(compressed(client, message), chop=1)
    assert message == await client.receive()
    await client.finish()
