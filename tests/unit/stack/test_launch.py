"""What the launcher decides; what it does to a process is tested on real ones."""

from __future__ import annotations

import pytest

from stack.launch import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, reading_capability

EVERYTHING = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("permitted", "kept"),
    [
        (EVERYTHING, CAP_DAC_READ_SEARCH),
        (EVERYTHING & ~(1 << CAP_DAC_READ_SEARCH), CAP_DAC_OVERRIDE),
        (EVERYTHING & ~(1 << CAP_DAC_READ_SEARCH) & ~(1 << CAP_DAC_OVERRIDE), None),
        (0, None),
    ],
)
def test_the_weakest_capability_that_reaches_the_data_is_kept(permitted: int, kept: int | None) -> None:
    assert reading_capability(permitted) == kept
