"""The benchmark's clients count the frames that they get, however these are cut into pieces."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from bench.fanout.wire import PING, Skimmer, masked, take_frames, unmasked

PING_FRAME = bytes((0x80 | PING, 2)) + b"hi"


def long_frame(payload: bytes) -> bytes:
    """Return a frame whose length takes eight bytes, as only large ones do."""
    return struct.pack(">BBQ", 0x81, 127, len(payload)) + payload


frames = st.one_of(
    st.binary(max_size=300).map(unmasked),
    st.binary(max_size=300).map(long_frame),
    st.just(PING_FRAME),
)


@given(st.lists(frames), st.lists(st.integers(1, 400)))
def test_pieces_of_any_size_hold_the_same_frames(sent: list[bytes], cuts: list[int]) -> None:
    stream, skimmer = b"".join(sent), Skimmer(0)
    controls = []
    for size in [*cuts, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        controls += skimmer.skim(piece, len(piece))
    pings = sent.count(PING_FRAME)
    assert len(sent) - pings == skimmer.frames
    assert [(PING, b"hi")] * pings == controls


def test_short_frames_are_stepped_over() -> None:
    skimmer = Skimmer(150)
    stream = unmasked(b"x" * 149) + unmasked(b"x" * 150)
    skimmer.skim(stream, len(stream))
    assert 1 == skimmer.frames


@given(st.lists(st.binary(max_size=300)), st.integers(0, 1))
def test_whole_frames_are_taken_and_the_rest_stays(payloads: list[bytes], missing: int) -> None:
    whole = b"".join(map(unmasked, payloads))
    rest = unmasked(b"rest")[: 3 * missing]
    data = bytearray(whole + rest)
    assert payloads == [payload for _, payload in take_frames(data)]
    assert rest == data


def test_a_client_masks_what_it_sends() -> None:
    assert bytes((0x81, 0x80 | 2, 0, 0, 0, 0)) + b"hi" == masked(b"hi")
    assert struct.pack(">BBH", 0x81, 0xFE, 300) + bytes(4) + b"x" * 300 == masked(b"x" * 300)
