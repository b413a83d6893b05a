"""A cursor leads back to where a page ended, and nothing else is taken for one."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.records.cursor import Cursor, decode_cursor, encode_cursor
from shared.resources.declaration import Line, Time

LAST_SEEN = datetime(2030, 1, 2, 3, 4, 5, 678_901, UTC)


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    ("cursor", "kind"),
    [
        (Cursor("name", "wéb-1", "s_1"), Line),
        (Cursor("-last_seen", LAST_SEEN, "s_1"), Time | None),
        (Cursor("last_seen", None, "s_1"), Time | None),
        (Cursor("position", -5, "s_1"), int),
    ],
)
def test_a_cursor_comes_back_as_it_was(cursor: Cursor, kind: object) -> None:
    assert cursor == decode_cursor(encode_cursor(cursor), cursor.sort, kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "a",
        "é",
        encoded(b"null"),
        encoded(b"[]"),
        encoded(b'["name","a"]'),
        encoded(b'["name","a","s_1"'),
        encoded(b'["name",5,"s_1"]'),
        encoded(b'["name",null,"s_1"]'),
        encoded(b'["name","\\u0000","s_1"]'),
        encoded(b'["name","a","s 1"]'),
        encoded(b'["name","a",""]'),
        encoded(b'["-name","a","s_1"]'),
        encoded(b'["name","\xff","s_1"]'),
        encoded(b'["name",' + b"[" * 1000),
        "x" * 3000,
    ],
)
def test_what_was_not_given_out_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is"):
        decode_cursor(text, "name", Line)


@given(st.text(max_size=100))
def test_no_text_does_harm(text: str) -> None:
    with pytest.raises(ValueError, match="it is"):
        decode_cursor(text, "name", Line)
