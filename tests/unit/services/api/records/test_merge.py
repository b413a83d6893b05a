"""Patches and labels change a record as RFC 7396 and its model say, or not at all."""

import msgspec
import pytest

from services.api.records.merge import merge, patched, relabelled
from shared.io.problem import HttpError
from shared.resources import SERVERS
from shared.resources.servers import Server

STORED = msgspec.json.encode(Server(name="one", tags=("a", "b"), price=5.0))


def after(stored: bytes | None) -> Server:
    assert stored is not None
    return msgspec.json.decode(stored, type=Server)


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [  # the examples of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_the_rfc(target: object, patch: object, merged: object) -> None:
    assert merged == merge(target, patch)


def test_a_patch_changes_what_it_names_and_nothing_else() -> None:
    assert Server(name="one", tags=("c",), price=5.0, notes="x") == after(
        patched(SERVERS, STORED, {"tags": ["c"], "notes": "x"})
    )


def test_null_brings_the_default_back() -> None:
    server = after(patched(SERVERS, STORED, {"tags": None, "price": None}))
    assert ((), None) == (server.tags, server.price)


@pytest.mark.parametrize("patch", [{}, {"name": "one"}, {"tags": ["a", "b"], "price": 5}, {"notes": None}])
def test_a_patch_that_changes_nothing_gives_nothing(patch: dict[str, object]) -> None:
    assert patched(SERVERS, STORED, patch) is None


def test_a_field_without_default_cannot_be_removed() -> None:
    with pytest.raises(HttpError) as error:
        patched(SERVERS, STORED, {"name": None})
    assert (422, ["name"]) == (error.value.status, [each.field for each in error.value.errors])


def test_times_are_stored_in_utc() -> None:
    stored = patched(SERVERS, STORED, {"expires_at": "2030-01-01T01:00:00+02:00"})
    assert stored is not None
    assert "2029-12-31T23:00:00Z" == msgspec.json.decode(stored)["expires_at"]
    assert patched(SERVERS, stored, {"expires_at": "2029-12-31T23:00:00Z"}) is None


def test_a_time_outside_of_the_calendar_is_refused() -> None:
    with pytest.raises(HttpError) as error:
        patched(SERVERS, STORED, {"expires_at": "0001-01-01T00:00:00+10:00"})
    assert ["expires_at"] == [each.field for each in error.value.errors]


def test_labels_are_removed_and_added_at_the_end_once() -> None:
    stored = relabelled(SERVERS, STORED, "tags", add=["c", "b", "c", "d"], remove=["a", "z"])
    assert ("b", "c", "d") == after(stored).tags


def test_labels_that_are_there_already_change_nothing() -> None:
    assert relabelled(SERVERS, STORED, "tags", add=["b"], remove=["z"]) is None


def test_too_many_labels_are_refused() -> None:
    with pytest.raises(HttpError) as error:
        relabelled(SERVERS, STORED, "tags", add=[f"t{n}" for n in range(63)], remove=[])
    assert ["tags"] == [each.field for each in error.value.errors]
