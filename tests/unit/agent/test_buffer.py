"""What the agent keeps while the server is away."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_agent.buffer import Sample, SampleBuffer


def sample(seq: int, size_bytes: int = 10) -> Sample:
    return Sample("boot-1", seq, b"x" * size_bytes)


def filled(count: int, capacity: int) -> SampleBuffer:
    buffer = SampleBuffer(capacity)
    for seq in range(1, count + 1):
        buffer.add(sample(seq))
    return buffer


def kept(buffer: SampleBuffer) -> list[int]:
    return [each.seq for each in buffer.oldest(10_000)]


def test_samples_come_out_oldest_first_and_stay() -> None:
    buffer = filled(5, capacity=10)
    assert [1, 2, 3] == [each.seq for each in buffer.oldest(3)]
    assert [1, 2, 3, 4, 5] == kept(buffer)


def test_what_is_acknowledged_is_forgotten() -> None:
    buffer = filled(5, capacity=10)
    assert 3 == buffer.discard_through(3)
    assert [4, 5] == kept(buffer)


def test_acknowledging_the_same_samples_again_changes_nothing() -> None:
    buffer = filled(5, capacity=10)
    buffer.discard_through(3)
    assert 0 == buffer.discard_through(3)
    assert [4, 5] == kept(buffer)


def test_a_full_buffer_gives_up_every_second_sample_of_its_older_half() -> None:
    buffer = filled(8, capacity=8)
    assert 2 == buffer.add(sample(9))
    assert [1, 3, 5, 6, 7, 8, 9] == kept(buffer)
    assert 2 == buffer.thinned


def test_a_long_outage_leaves_a_coarser_past_and_a_whole_present() -> None:
    numbers = kept(filled(1000, capacity=100))
    gaps = [after - before for before, after in itertools.pairwise(numbers)]
    assert list(range(951, 1001)) == numbers[-50:]
    assert gaps == sorted(gaps, reverse=True)
    assert 1 == numbers[0]


def test_samples_thinned_while_on_their_way_do_not_take_others_with_them() -> None:
    buffer = filled(8, capacity=8)
    sent = buffer.oldest(4)
    buffer.add(sample(9))
    buffer.discard_through(sent[-1].seq)
    assert [5, 6, 7, 8, 9] == kept(buffer)


def test_bytes_are_bounded_as_well() -> None:
    buffer = SampleBuffer(capacity=1000, capacity_bytes=100)
    for seq in range(1, 21):
        buffer.add(sample(seq, size_bytes=10))
    assert sum(len(each.encoded) for each in buffer.oldest(1000)) <= 100
    assert 20 == kept(buffer)[-1]


def test_the_newest_sample_is_kept_however_large() -> None:
    buffer = SampleBuffer(capacity=1000, capacity_bytes=100)
    buffer.add(sample(1))
    buffer.add(sample(2, size_bytes=1000))
    assert [2] == kept(buffer)


def test_a_buffer_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 samples, not 3"):
        SampleBuffer(3)


@given(
    st.integers(min_value=4, max_value=20),
    st.lists(st.tuples(st.integers(min_value=1, max_value=40), st.integers(min_value=0, max_value=10)), max_size=10),
)
def test_it_stays_in_order_within_bounds_and_every_sample_is_accounted_for(
    capacity: int, rounds: list[tuple[int, int]]
) -> None:
    buffer = SampleBuffer(capacity)
    added = discarded = thinned = 0
    for arriving, acknowledged in rounds:
        for _ in range(arriving):
            added += 1
            thinned += buffer.add(sample(added))
        discarded += sum(buffer.discard_through(each.seq) for each in buffer.oldest(acknowledged))
        numbers = kept(buffer)
        assert numbers == sorted(set(numbers))
        assert len(buffer) == len(numbers) <= capacity
        assert thinned == buffer.thinned
        assert added == len(numbers) + discarded + thinned
