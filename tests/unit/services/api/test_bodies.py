"""A body is strict JSON of its type, or an error that says what is wrong with it and where."""

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from services.api.bodies import MAX_REPORTED_FIELDS, decode_body
from shared.errors import Malformed
from shared.io.problem import FieldError, HttpError
from shared.validation import LOOKED_INTO_BYTES
from tests.support.work import work_of


class Nested(msgspec.Struct):
    depth: int = 0


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    tags: tuple[Annotated[str, Meta(max_length=3)], ...] = ()
    nested: Nested = msgspec.field(default_factory=Nested)
    count: int = 0


def refused(body: bytes) -> list[FieldError]:
    with pytest.raises(HttpError) as error:
        decode_body(body, Body)
    assert (422, "invalid") == (error.value.status, error.value.code)
    return list(error.value.errors)


def test_a_good_body_is_decoded() -> None:
    assert Body("a", ("x",)) == decode_body(b'{"name": "a", "tags": ["x"]}', Body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"name=a",
        b'{"name": "a"}}',
        b'{"name": NaN}',
        b'{"name": "a", "count": Infinity}',
        b'{"name": "a", "count": -Infinity}',
        b'{"name": "a", "count": 1e999}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00x"}',
        b'{"name": "\xff"}',
        b'{"name": 5, "tags": ["\xff"]}',
        b'{"name": 5',
        b'\xef\xbb\xbf{"name": "a"}',
        b"[" * 100_000,
        b'{"name": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode_body(body, Body)


@pytest.mark.parametrize("body", [b"null", b"[]", b"5", b'"name"'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert [FieldError("", "the body must be a JSON object")] == refused(body)


def test_every_wrong_field_is_named_by_its_path() -> None:
    body = b'{"name": 5, "tags": ["a", "long", 7], "nested": {"depth": "x"}, "count": 1.5}'
    assert ["name", "tags[1]", "tags[2]", "nested.depth", "count"] == [error.field for error in refused(body)]


def test_unknown_and_missing_fields_are_named() -> None:
    errors = {error.field: error.message for error in refused(b'{"nome": "a"}')}
    assert {"nome", "name"} == set(errors)
    assert "required" in errors["name"]


def test_only_so_many_errors_are_reported_and_names_are_cut() -> None:
    unknown = {f"{'x' * 1000}{n}": 1 for n in range(3 * MAX_REPORTED_FIELDS)}
    errors = refused(msgspec.json.encode({"name": "a", **unknown}))
    assert MAX_REPORTED_FIELDS == len(errors)
    assert 100 == max(len(error.field) for error in errors)


@pytest.mark.parametrize("junk", [b"1,", b"1.5,", b"[],", b'{"a":1},'])
@pytest.mark.parametrize("fault", [b'"name":5', b'"name":"a","count":1.5'])
def test_a_large_body_costs_no_more_than_to_read_it(fault: bytes, junk: bytes) -> None:
    body = b"{" + fault + b',"x":[' + (1_000_000 // len(junk)) * junk + b"5]}"
    work = work_of(lambda: decode_body(body, Body), HttpError)
    assert work.calls < 1000
    assert work.peak_bytes < 100_000


def test_of_a_large_body_one_wrong_field_is_named() -> None:
    blank = b" " * LOOKED_INTO_BYTES
    assert ["name"] == [error.field for error in refused(b'{"name": 5, "count": "x"' + blank + b"}")]
    with pytest.raises(Malformed):
        decode_body(b'{"name": 5' + blank, Body)
