"""The headers of a write say for which versions it is good, by what key it is known, and whether it waits."""

import pytest

from services.api.conditions import (
    WriteTerms,
    digest_of_request,
    etag,
    operation_id_of,
    prefers_async,
    read_if_match,
)
from shared.errors import Conflict, Malformed


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        (None, None),
        ("*", None),
        (' "44" ', frozenset({44})),
        ('"44", "45"', frozenset({44, 45})),
        ('W/"44"', frozenset()),
        ('W/"44", "45"', frozenset({45})),
        ('"abc"', frozenset()),
        ('"-1"', frozenset()),
        ('"' + "9" * 100 + '"', frozenset()),
    ],
)
def test_if_match_lists_versions(header: str | None, versions: frozenset[int] | None) -> None:
    assert versions == read_if_match(header)


@pytest.mark.parametrize("header", ["", "44", '"44', '"44" "45"', '"44",', "*, *"])
def test_an_if_match_that_lists_no_tags_is_malformed(header: str) -> None:
    with pytest.raises(Malformed):
        read_if_match(header)


def test_an_etag_matches_itself() -> None:
    assert frozenset({44}) == read_if_match(etag(44))


def test_a_write_is_good_for_the_versions_that_it_names() -> None:
    WriteTerms("w_1", "u_1", "o_1", frozenset({4, 5})).require(5)
    WriteTerms("w_1", "u_1", "o_1").require(6)
    for versions in (frozenset({4, 5}), frozenset[int]()):
        with pytest.raises(Conflict):
            WriteTerms("w_1", "u_1", "o_1", versions).require(6)


@pytest.mark.parametrize(
    "header", ["respond-async", "wait=5, respond-async", "Respond-Async; x=1", "a,respond-async ,b"]
)
def test_a_caller_may_prefer_not_to_wait(header: str) -> None:
    assert prefers_async(header)


@pytest.mark.parametrize("header", [None, "", "respond-asynchronously", "no-respond-async", "x=respond-async"])
def test_a_caller_who_says_nothing_of_it_waits(header: str | None) -> None:
    assert not prefers_async(header)


def test_a_key_stands_for_one_operation_of_one_user_in_one_workspace() -> None:
    ids = {operation_id_of(user, workspace, key) for user in "ab" for workspace in "vw" for key in ("1", "2")}
    assert 8 == len(ids)
    assert operation_id_of("a", "v", "1") == operation_id_of("a", "v", "1")


def test_without_a_key_every_write_is_another_operation() -> None:
    assert operation_id_of("a", "v", None) != operation_id_of("a", "v", None)


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "a\n", "\x00", "x" * 256])
def test_a_key_that_is_no_plain_text_is_malformed(key: str) -> None:
    with pytest.raises(Malformed):
        operation_id_of("a", "v", key)


def test_requests_are_told_apart_by_all_that_they_ask_for() -> None:
    requests = [("PATCH", "/a", b"1"), ("PATCH", "/b", b"1"), ("PATCH", "/a", b"2"), ("DELETE", "/a", b"1")]
    assert 4 == len({digest_of_request(*request) for request in requests})
