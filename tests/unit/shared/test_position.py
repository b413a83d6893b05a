"""Positions: their order, their text, what follows what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.position import Position

numbers = st.integers(min_value=0, max_value=2**63)


@given(numbers, numbers)
def test_text_and_back(epoch: int, seq: int) -> None:
    assert Position(epoch, seq) == Position.parse(str(Position(epoch, seq)).encode())


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "1-x", "1-2-3", "-1-2", "1- 2", b"\xff-1"])
def test_anything_else_is_malformed(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        Position.parse(text)


def test_later_epoch_comes_after_every_seq_of_an_earlier_one() -> None:
    assert [Position(1, 9), Position(2, 0), Position(2, 1)] == sorted([Position(2, 1), Position(2, 0), Position(1, 9)])


@pytest.mark.parametrize(
    ("earlier", "later", "follows"),
    [
        ((1, 1), (1, 2), True),
        ((1, 1), (1, 3), False),
        ((1, 1), (1, 1), False),
        ((1, 7), (2, 0), True),
        ((1, 7), (4, 0), True),
        ((1, 7), (2, 1), False),
        ((2, 0), (1, 8), False),
    ],
)
def test_nothing_can_lie_between_a_position_and_what_follows_it(
    earlier: tuple[int, int], later: tuple[int, int], follows: bool
) -> None:
    assert follows is Position(*later).follows(Position(*earlier))
