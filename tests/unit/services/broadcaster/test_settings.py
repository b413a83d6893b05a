"""The broadcaster's own settings."""

from __future__ import annotations

import pytest

from services.broadcaster.settings import Broadcasting, load_origins
from shared.settings import BadSetting, load


def test_the_tick_is_a_tenth_of_a_second_unless_set() -> None:
    assert 0.1 == load(Broadcasting, {}).conflation_tick_s
    assert 0.25 == load(Broadcasting, {"CONFLATION_TICK": "0.25"}).conflation_tick_s


def test_a_tick_of_nothing_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="CONFLATION_TICK"):
        load(Broadcasting, {"CONFLATION_TICK": "0"})


def test_origins_are_listed_with_commas() -> None:
    listed = "https://a.example, http://B.example:8080/,"
    assert {"https://a.example", "http://b.example:8080"} == load_origins({"ALLOWED_ORIGINS": listed})


def test_no_origins_are_listed_unless_set() -> None:
    assert frozenset() == load_origins({})


def test_what_is_no_origin_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match=r"ALLOWED_ORIGINS names 'example\.org'"):
        load_origins({"ALLOWED_ORIGINS": "https://a.example,example.org"})
