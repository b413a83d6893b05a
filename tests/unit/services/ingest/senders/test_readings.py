"""Readings by the scrapes that they come from."""

import random

import pytest

from services.ingest.senders.readings import SCRAPE_NS, Allowance, Reading, TooMuch, scrapes


def reading(series: str, at_ns: int) -> Reading:
    return Reading(quantity="load1", part="", kind="", series=series, value=1.0, at_ns=at_ns)


def test_what_was_read_within_a_second_is_one_scrape() -> None:
    readings = [reading(f"{place}", place * SCRAPE_NS // 4) for place in range(6)]
    assert [5, 1] == [len(scrape) for scrape in scrapes(readings)]


def test_series_that_comes_again_begins_another_scrape() -> None:
    readings = [reading(series, at) for at in (0, SCRAPE_NS // 2, SCRAPE_NS) for series in "ab"]
    assert [2, 2, 2] == [len(scrape) for scrape in scrapes(readings)]


def test_order_of_the_request_does_not_matter() -> None:
    readings = [reading(series, at * 60 * SCRAPE_NS) for at in range(5) for series in "ab"]
    random.Random(5).shuffle(readings)
    found = [*scrapes(readings)]
    assert [at * 60 * SCRAPE_NS for at in range(5)] == [scrape[0].at_ns for scrape in found]
    assert [{"a", "b"}] * 5 == [{each.series for each in scrape} for scrape in found]


def test_nothing_has_no_scrapes() -> None:
    assert [] == [*scrapes([])]


def test_allowance_ends() -> None:
    allowance = Allowance(3)
    allowance.spend(3)
    allowance.spend(0)
    with pytest.raises(TooMuch):
        allowance.spend(1)
