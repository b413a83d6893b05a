"""A record is shown with its id and version, its own JSON untouched."""

import msgspec
import pytest

from services.api.records.representation import page_type, patch_type, record_type, represent, represent_all
from shared.resources import SERVERS
from shared.resources.servers import Server
from shared.topic import Record

DATA = msgspec.json.encode(Server(name="wéb", price=5.0))
RECORD = Record("s_1", 7, DATA)


def test_id_and_version_stand_before_the_fields() -> None:
    assert b'{"id":"s_1","version":7,' + DATA[1:] == represent(RECORD)


def test_a_record_without_fields_is_still_json() -> None:
    assert {"id": "s_1", "version": 7} == msgspec.json.decode(represent(Record("s_1", 7, b"{}")))


def test_what_is_shown_is_of_the_described_type() -> None:
    shown = msgspec.json.decode(represent(RECORD), type=record_type(SERVERS))
    assert ("s_1", 7, "wéb", 5.0) == tuple(getattr(shown, name) for name in ("id", "version", "name", "price"))
    body = represent_all([RECORD, RECORD], total=2, epoch="1", version=9, next_cursor=None)
    assert 2 == len(getattr(msgspec.json.decode(body, type=page_type(SERVERS)), "items"))  # noqa: B009  (made at run time)


@pytest.mark.parametrize("patch", [b"{}", b'{"tags":null}', b'{"price":null,"notes":"x"}', b'{"name":"x"}'])
def test_a_patch_may_name_any_editable_field(patch: bytes) -> None:
    msgspec.json.decode(patch, type=patch_type(SERVERS))


@pytest.mark.parametrize(
    "patch", [b'{"name":null}', b'{"status":"online"}', b'{"id":"s_2"}', b'{"version":1}', b'{"tags":"a"}', b'{"x":1}']
)
def test_a_patch_may_name_nothing_else(patch: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(patch, type=patch_type(SERVERS))
