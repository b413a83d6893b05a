"""By which samples the clock of an agent is measured."""

import pytest

from services.ingest.clocks import leading_start


@pytest.mark.parametrize(
    ("window", "start"),
    [
        ("", ("", 0)),
        ("a 1-7", ("a", 7)),
        ("a 1-3,5-12;b 1-9", ("a", 12)),
        ("old 1-3;!new 1-2,4-40;b 1-9", ("new", 40)),
        ("!new ;old 1-3", ("new", 0)),
        ("!new ", ("new", 0)),
    ],
)
def test_start_that_shook_hands_last_leads(window: str, start: tuple[str, int]) -> None:
    assert start == leading_start(window)
