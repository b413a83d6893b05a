"""How dbmate is called."""

from __future__ import annotations

import pytest

from stack.migrate import command, with_tls_mode


@pytest.mark.parametrize(
    ("url", "encrypted", "expected"),
    [
        ("postgresql://u:p@h/d", False, "postgresql://u:p@h/d?sslmode=disable"),
        ("postgresql://u:p@h/d", True, "postgresql://u:p@h/d?sslmode=require"),
        ("postgresql://u:p@h/d?sslmode=verify-full", False, "postgresql://u:p@h/d?sslmode=verify-full"),
        ("postgresql://u:p%40@h/d?a=b%20c", False, "postgresql://u:p%40@h/d?a=b+c&sslmode=disable"),
    ],
)
def test_dbmate_is_told_whether_the_server_speaks_tls(url: str, *, encrypted: bool, expected: str) -> None:
    assert with_tls_mode(url, encrypted=encrypted) == expected


def test_no_url_is_on_the_command_line() -> None:
    assert not [word for word in command() if "://" in word]
