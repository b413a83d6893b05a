"""Autobahn's case 6: a text message is UTF-8 or fails the connection with 1007.

The server looks at a message when it is whole. So the invalid messages of 6.3 and 6.4 are refused, but not at the first
octet that makes them so: the strict outcomes of 6.4 are expected to fail here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import product

import pytest

from tests.support.raw_websocket import EACH_FRAME, RawWebSocket
from tests.support.websocket_frames import Frame, encode, fragments, more, ping, text
from tests.support.websocket_vectors import Vector, expect_failure, play, vectors

_GREEK = "κόσμε"
_LONG = "Hello-µ@ßöäüàá-UTF-8!!"
_BROKEN = _GREEK.encode() + b"\xed\xa0\x80" + b"edited"  # with a surrogate in the middle
_BEYOND = (_GREEK.encode(), b"\xf4\x90\x80\x80", b"edited")  # U+110000, which there is not
_NOT_FAIL_FAST = "a message is looked at when it is whole"


def _in_fragments(message: Frame, size: int) -> tuple[Frame, ...]:
    return tuple(fragments(message, size))


_FRAGMENTED = (
    Vector("6.1.1", "an empty text", (text(),), (text(),)),
    Vector("6.1.2", "three empty fragments", (text(fin=False), more(fin=False), more()), (text(),)),
    Vector(
        "6.1.3",
        "a fragment between empty ones",
        (text(fin=False), more("middle", fin=False), more()),
        (text("middle"),),
    ),
    Vector("6.2.1", "valid text unfragmented", (text(_LONG),), (text(_LONG),)),
    Vector(
        "6.2.2", "valid text cut between characters", (text(_LONG[:12], fin=False), more(_LONG[12:])), (text(_LONG),)
    ),
    Vector("6.2.3", "valid text, an octet a fragment", _in_fragments(text(_LONG), 1), (text(_LONG),)),
    Vector("6.2.4", "Greek, an octet a fragment", _in_fragments(text(_GREEK), 1), (text(_GREEK),)),
    Vector("6.3.1", "a surrogate, unfragmented", (text(_BROKEN),), failure=1007),
    Vector("6.3.2", "a surrogate, an octet a fragment", _in_fragments(text(_BROKEN), 1), failure=1007),
)


@vectors(_FRAGMENTED)
async def test_text_in_fragments_is_checked(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


def _parts(case: str) -> tuple[bytes, bytes, bytes]:
    """Return a beginning that is valid, the part that makes it invalid, and the rest."""
    start, wrong, rest = _BEYOND
    # 6.4.2 and 6.4.4 give the octet alone that nothing could make valid any more
    return (start, wrong, rest) if case in {"6.4.1", "6.4.3"} else (start + wrong[:1], wrong[1:2], wrong[2:] + rest)


@pytest.mark.parametrize("case", ["6.4.1", "6.4.2"])
async def test_an_invalid_text_in_fragments_is_refused_at_its_end(client: RawWebSocket, case: str) -> None:
    """What Autobahn calls non-strict."""
    start, wrong, rest = _parts(case)
    await client.send(text(start, fin=False), more(wrong, fin=False), more(rest), chop=EACH_FRAME)
    await expect_failure(client, 1007)


@pytest.mark.xfail(raises=AssertionError, reason=_NOT_FAIL_FAST)
@pytest.mark.parametrize("case", ["6.4.1", "6.4.2"])
async def test_an_invalid_fragment_is_refused_at_once(client: RawWebSocket, case: str) -> None:
    start, wrong, _ = _parts(case)
    await client.send(text(start, fin=False), more(wrong, fin=False), ping(b"still there?"))
    await expect_failure(client, 1007)


@pytest.mark.parametrize("case", ["6.4.3", "6.4.4"])
async def test_an_invalid_text_in_one_frame_is_refused_at_its_end(client: RawWebSocket, case: str) -> None:
    """What Autobahn calls non-strict: the parts come in segments of their own, but in one frame."""
    for segment in _segments(case):
        await client.send_octets(segment)
    await expect_failure(client, 1007)


@pytest.mark.xfail(raises=TimeoutError, reason=_NOT_FAIL_FAST)
@pytest.mark.parametrize("case", ["6.4.3", "6.4.4"])
async def test_an_invalid_octet_is_refused_at_once(client: RawWebSocket, case: str) -> None:
    for segment in _segments(case)[:2]:
        await client.send_octets(segment)
    async with asyncio.timeout(0.2):
        await expect_failure(client, 1007)


def _segments(case: str) -> tuple[bytes, bytes, bytes]:
    """Return a frame, cut where the part begins that makes it invalid, and where it ends."""
    start, wrong, _ = parts = _parts(case)
    octets = encode(text(b"".join(parts)), b"mask")
    first = 6 + len(start)
    second = first + len(wrong)
    return octets[:first], octets[first:second], octets[second:]


def _truncated(sequences: Iterable[bytes]) -> list[bytes]:
    return [sequence[:-1] for sequence in sequences]


def _led(first: int, length: int, continuation: int) -> bytes:
    """Return a sequence of this length, valid or not, from its first octet and what the others are."""
    return bytes([first, *[continuation] * (length - 1)])


_LEADS = ((0xC0, 2), (0xE0, 3), (0xF0, 4), (0xF8, 5), (0xFC, 6))  # the least first octet of each length
_LAST_LEADS = ((0xDF, 2), (0xEF, 3), (0xF7, 4), (0xFB, 5), (0xFD, 6))
_CUT = _truncated(
    [_led(first, size, 0x80) for first, size in _LEADS] + [_led(first, size, 0xBF) for first, size in _LAST_LEADS]
)
_HIGH = (0xD800, 0xDB7F, 0xDB80, 0xDBFF)
_LOW = (0xDC00, 0xDFFF)


def _surrogate(code_point: int) -> bytes:
    return chr(code_point).encode("utf-8", "surrogatepass")


def _characters(*code_points: int) -> list[bytes]:
    return [chr(code_point).encode() for code_point in code_points]


def _overlong(code_point: int, last: int) -> list[bytes]:
    """Return a code point of one octet in two to six octets, which is one to five more than it takes."""
    return [_led(first, size, 0x80)[:-1] + bytes([last]) for first, size in _LEADS if code_point < 0x40]


# of each: the number of the group, what is in it, whether it is valid, and its sequences, numbered from 1
_GROUPS: tuple[tuple[str, str, bool | None, list[bytes]], ...] = (
    ("6.5", "valid text", True, [f"hello{sign}world".encode() for sign in "$¢€𤭢"] + [_GREEK.encode()]),
    ("6.6", "a beginning of valid text", None, [_GREEK.encode()[:size] for size in range(1, 12)]),
    ("6.7", "the first character of a length", True, _characters(0, 0x80, 0x800, 0x10000)),
    ("6.8", "the first of five and six octets", False, [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
    ("6.9", "the last character of a length", True, _characters(0x7F, 0x7FF, 0xFFFF, 0x10FFFF)),
    ("6.10", "the last of four to six octets", False, [_led(first, size, 0xBF) for first, size in _LAST_LEADS[2:]]),
    ("6.11", "beside what is no character", None, [*_characters(0xD7FF, 0xE000, 0xFFFD, 0x10FFFF), _BEYOND[1]]),
    (
        "6.12",
        "continuations of nothing",
        False,
        [b"\x80", b"\xbf", *((b"\x80\xbf" * 3)[:size] for size in range(2, 7)), bytes(range(0x80, 0xC0))],
    ),
    (
        "6.13",
        "first octets alone",
        False,
        [
            b"".join(bytes([first, 0x20]) for first in range(lead, last + 1))
            for (lead, _), (last, _) in zip(_LEADS, _LAST_LEADS, strict=True)
        ],
    ),
    ("6.14", "the last octet missing", False, _CUT),
    ("6.15", "all of them with the last octet missing", False, [b"".join(_CUT)]),
    ("6.16", "octets that never occur", False, [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
    ("6.17", "an overlong slash", False, _overlong(0x2F, 0xAF)),
    (
        "6.18",
        "the greatest overlong form",
        False,
        [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf"],
    ),
    ("6.19", "an overlong NUL", False, _overlong(0, 0x80)),
    ("6.20", "a surrogate", False, [_surrogate(half) for half in (*_HIGH, 0xDC00, 0xDF80, 0xDFFF)]),
    ("6.21", "a pair of surrogates", False, [_surrogate(a) + _surrogate(b) for a, b in product(_HIGH, _LOW)]),
    (
        "6.22",
        "a noncharacter, which is valid",
        True,
        _characters(*(plane << 16 | 0xFFFE | last for plane in range(0x11) for last in (0, 1))),
    ),
    ("6.23", "a special, which is valid", True, _characters(*range(0xFFF9, 0x10000))),
)


def _listed() -> list[Vector]:
    listed = []
    for group, what, is_valid, sequences in _GROUPS:
        for number, sequence in enumerate(sequences, 1):
            valid = _is_utf8(sequence) if is_valid is None else is_valid
            assert valid == _is_utf8(sequence), (group, number)
            answers, failure = ((text(sequence),), None) if valid else ((), 1007)
            listed.append(Vector(f"{group}.{number}", what, (text(sequence),), answers, failure))
    return listed


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


@vectors(_listed())
async def test_text_is_echoed_if_it_is_utf8(client: RawWebSocket, vector: Vector) -> None:
    await play(client, vector)


async def test_a_refused_text_is_not_echoed_as_a_binary_message(client: RawWebSocket) -> None:
    """Not in Autobahn: what is no text may be sent as octets, and then comes back."""
    message = text(_BROKEN)._replace(opcode=2)
    await client.send(message)
    assert message == await client.receive()
    await client.finish()
