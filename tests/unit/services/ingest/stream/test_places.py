"""Who may open a stream."""

import pytest

from services.ingest.stream.places import MOST_NEW, Places
from shared.errors import RetryLater
from shared.io.problem import HttpError


def test_agent_has_few_places_before_it_shakes_hands_and_others_have_theirs() -> None:
    places = Places(100)
    first, *_ = [places.take("a_1") for _ in range(MOST_NEW)]
    with pytest.raises(HttpError) as refused:
        places.take("a_1")
    assert (429, 10.0) == (refused.value.status, refused.value.retry_after_s)
    places.take("a_2")
    first.settle()
    places.take("a_1")
    with pytest.raises(HttpError):
        places.take("a_1")


def test_place_is_free_once_its_stream_has_ended() -> None:
    places = Places(100)
    for _ in range(3):
        taken = [places.take("a_1") for _ in range(MOST_NEW)]
        for place in taken:
            with place:
                pass
    assert {} == places._new


def test_handshakes_that_are_repeated_free_no_place_of_others() -> None:
    places = Places(100)
    first, _ = places.take("a_1"), places.take("a_1")
    with first:
        first.settle()
        first.settle()
    places.take("a_1")
    with pytest.raises(HttpError):
        places.take("a_1")


def test_so_many_streams_stand_whosever_they_are() -> None:
    places = Places(2)
    with places.take("a_1") as first:
        first.settle()
        places.take("a_2")
        with pytest.raises(RetryLater):
            places.check()
        with pytest.raises(RetryLater):
            places.take("a_3")
    places.take("a_3")
