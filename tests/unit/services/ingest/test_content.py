"""Encoded bodies: undone as their RFCs have it, and never at the cost that their sender chooses."""

import asyncio
import contextlib
import gzip
import random
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.account import Account
from services.ingest.content import MAX_AT_ONCE, MAX_DECODED_BYTES, MAX_MEMBERS, ContentDecoder, decoded_slices
from services.ingest.rates import Rates
from shared.errors import Malformed
from shared.io.problem import HttpError
from tests.support.turns import turns_during

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Encode = Callable[[bytes], bytes]
ENCODERS: dict[bytes, Encode] = {b"gzip": gzip.compress, b"zstd": zstd.compress}
both = pytest.mark.parametrize("encoding", ENCODERS)


def account(at_once: int = 10_000) -> Account:
    return Account(Rates(per_s=1, burst=at_once, capacity=10, clock=lambda: 0.0), "a_1", "this agent")


def decoded(body: bytes, encoding: bytes) -> bytes:
    return b"".join(decoded_slices(body, encoding))


@both
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize("content", ["zeros", "noise"])
def test_what_was_encoded_comes_back(encoding: bytes, size: int, content: str) -> None:
    data = bytes(size) if content == "zeros" else random.Random(7).randbytes(size)
    assert data == decoded(ENCODERS[encoding](data), encoding)


@both
@given(data=st.data())
def test_members_one_after_another_are_joined(encoding: bytes, data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
    assert b"".join(parts) == decoded(b"".join(map(ENCODERS[encoding], parts)), encoding)


def test_x_gzip_is_gzip() -> None:
    assert b"abc" == decoded(gzip.compress(b"abc"), b"x-gzip")


@both
def test_too_many_members_are_refused(encoding: bytes) -> None:
    empty = ENCODERS[encoding](b"")
    assert b"" == decoded(empty * MAX_MEMBERS, encoding)
    with pytest.raises(Malformed, match="members"):
        decoded(empty * (MAX_MEMBERS + 1), encoding)


@both
def test_body_that_breaks_off_anywhere_is_refused(encoding: bytes) -> None:
    whole = ENCODERS[encoding](random.Random(3).randbytes(300))
    for length in range(len(whole)):
        with pytest.raises(Malformed):
            decoded(whole[:length], encoding)


@both
@pytest.mark.parametrize("rest", [b"x", b"\0" * 100, b"\x1f\x8b"])
def test_body_with_something_else_behind_it_is_refused(encoding: bytes, rest: bytes) -> None:
    with pytest.raises(Malformed):
        decoded(ENCODERS[encoding](b"abc") + rest, encoding)


@both
def test_damaged_body_is_refused(encoding: bytes) -> None:
    damaged = bytearray(ENCODERS[encoding](random.Random(3).randbytes(100_000)))
    damaged[0] ^= 0xFF
    with pytest.raises(Malformed):
        decoded(bytes(damaged), encoding)


def test_wrong_checksum_and_wrong_length_are_found() -> None:
    whole = gzip.compress(b"abc" * 100)
    for wrong in (whole[:-8] + struct.pack("<I", 1) + whole[-4:], whole[:-4] + struct.pack("<I", 2)):
        with pytest.raises(Malformed):
            decoded(wrong, b"gzip")
    with pytest.raises(Malformed):
        decoded(zlib.compress(b"abc"), b"gzip")


def test_zstd_with_a_larger_window_than_http_allows_is_refused() -> None:
    noise = random.Random(3).randbytes(100_000) * 3
    for window_log, taken in ((23, True), (24, False)):
        compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
        body = compressor.compress(noise) + compressor.flush()
        if taken:
            assert noise == decoded(body, b"zstd")
        else:
            with pytest.raises(Malformed):
                decoded(body, b"zstd")


@both
async def test_bomb_costs_no_more_than_the_limit(encoding: bytes) -> None:
    bomb = ENCODERS[encoding](bytes(300_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(HttpError) as raised:
            await ContentDecoder().decode(bomb, encoding, account(), 500_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert (413, "too_large") == (raised.value.status, raised.value.code)


@both
async def test_body_of_exactly_the_limit_is_taken(encoding: bytes) -> None:
    body = ENCODERS[encoding](bytes(MAX_DECODED_BYTES))
    assert bytes(MAX_DECODED_BYTES) == await ContentDecoder().decode(body, encoding, account())
    with pytest.raises(HttpError):
        await ContentDecoder().decode(ENCODERS[encoding](bytes(MAX_DECODED_BYTES + 1)), encoding, account())


async def test_others_have_their_turn_while_a_body_is_decoded() -> None:
    turns = await turns_during(ContentDecoder().decode(gzip.compress(bytes(4_000_000)), b"gzip", account()))
    assert turns >= 4_000_000 // 65_536


@both
@pytest.mark.parametrize("ending", ["whole", "damaged", "too large"])
async def test_what_was_decoded_is_paid_for_however_it_ends(encoding: bytes, ending: str) -> None:
    body, limit_bytes = ENCODERS[encoding](random.Random(7).randbytes(300_000)), 1_000_000
    if ending == "damaged":
        body = body[:-1]
    elif ending == "too large":
        limit_bytes = 290_000
    ours = account(at_once=250)
    with contextlib.suppress(Malformed, HttpError):
        await ContentDecoder().decode(body, encoding, ours, limit_bytes)
    with pytest.raises(HttpError, match="sends too much"):
        ours.require_no_debt()


async def test_sender_in_debt_decodes_nothing_when_its_turn_comes() -> None:
    ours, decoder, body = account(at_once=100), ContentDecoder(), gzip.compress(bytes(1_000_000))
    first = [decoder.decode(body, b"gzip", ours) for _ in range(MAX_AT_ONCE)]
    later = [decoder.decode(b"not even gzip", b"gzip", ours) for _ in range(100)]
    outcomes = await asyncio.gather(*first, *later, return_exceptions=True)
    assert [bytes(1_000_000)] * MAX_AT_ONCE == outcomes[:MAX_AT_ONCE]
    assert {429} == {getattr(outcome, "status", None) for outcome in outcomes[MAX_AT_ONCE:]}
