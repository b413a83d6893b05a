"""No password shows in the list of processes."""

from __future__ import annotations

import pytest

from stack.dump import split_password


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        ("postgresql://u:p%40ss@h:5/d?sslmode=require", "postgresql://u@h:5/d?sslmode=require", "p@ss"),
        ("postgresql://u@h/d", "postgresql://u@h/d", None),
        ("postgresql://h/d", "postgresql://h/d", None),
        ("postgresql://u:@[::1]:5/d", "postgresql://u@[::1]:5/d", ""),
    ],
)
def test_the_password_goes_another_way(url: str, address: str, password: str | None) -> None:
    expected = {} if password is None else {"PGPASSWORD": password}
    assert (address, expected) == split_password(url)
