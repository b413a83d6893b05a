"""Query parameters become a declared type, or the one that is wrong is named."""

from __future__ import annotations

import msgspec
import pytest

from services.api.parameters import read_parameters
from shared.io.problem import HttpError


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str = ""
    number: int = 0
    flag: bool = False


def test_text_becomes_what_is_declared() -> None:
    assert Wanted("5", 5, flag=True) == read_parameters(Wanted, [("name", "5"), ("number", "5"), ("flag", "true")])
    assert Wanted() == read_parameters(Wanted, [])


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ([("number", "five")], "number"),
        ([("flag", "")], "flag"),
        ([("name", "a"), ("name", "b")], "name"),
        ([("number", "1"), ("number", "2"), ("number", "3")], "number"),
        ([("other", "a")], "other"),
    ],
)
def test_what_is_wrong_is_named(parameters: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(HttpError) as refused:
        read_parameters(Wanted, parameters)
    assert (400, [field]) == (refused.value.status, [error.field for error in refused.value.errors])
