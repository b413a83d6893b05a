"""The codec of the log's entries."""

import pytest

from shared.change import Change, ChangeSet, EpochOpened, decode_entry, put_before
from shared.errors import Malformed
from shared.names import Topic
from shared.position import Position

FIELDS = {
    b"topic": b"w_1:servers",
    b"prev": b"4",
    b"version": b"6",
    b"at": b"1700000000000",
    b"actor": b"user:u_1",
    b"op": b"",
    b"changes": b'[{"id":"a","action":"created","data":{"n":1.10}},{"id":"b","action":"deleted","data":null}]',
}


def test_changes_get_the_versions_after_prev() -> None:
    entry = decode_entry(b"3-7", FIELDS)
    assert isinstance(entry, ChangeSet)
    assert (Position(3, 7), Topic("w_1", "servers"), 4, 6, 1_700_000_000_000, "user:u_1", "") == (
        entry.position,
        entry.topic,
        entry.prev,
        entry.version,
        entry.at_ms,
        entry.actor,
        entry.operation,
    )
    created, deleted = entry.changes
    assert ("a", "created", 5) == (created.id, created.action, created.version)
    assert created.data is not None
    assert b'{"n":1.10}' == bytes(created.data)
    assert Change("b", "deleted", 6, None) == deleted


def test_first_entry_of_an_epoch_carries_no_changes() -> None:
    assert EpochOpened(Position(3, 0)) == decode_entry(b"3-0", {b"opened": b"1700000000"})


@pytest.mark.parametrize(
    "wrong",
    [
        {b"version": b"7"},
        {b"version": b"x"},
        {b"topic": b"servers"},
        {b"changes": b"[{}]"},
        {b"changes": b"nonsense"},
        {b"changes": b'[{"id":"a","action":"renamed","data":{}},{"id":"b","action":"deleted","data":null}]'},
    ],
)
def test_entry_that_contradicts_itself_is_malformed(wrong: dict[bytes, bytes]) -> None:
    with pytest.raises(Malformed):
        decode_entry(b"3-7", FIELDS | wrong)


def test_entry_that_lacks_a_field_is_malformed() -> None:
    with pytest.raises(Malformed, match="actor"):
        decode_entry(b"3-7", {name: value for name, value in FIELDS.items() if name != b"actor"})


@pytest.mark.parametrize(
    ("data", "wanted"),
    [(b'{"n":1.10}', b'{"id":"a","n":1.10}'), (b"{}", b'{"id":"a"}'), (None, b'{"id":"a"}')],
)
def test_fields_stand_before_those_of_a_record_whose_bytes_stay(data: bytes | None, wanted: bytes) -> None:
    assert wanted == put_before('{"id":"a"', data)
