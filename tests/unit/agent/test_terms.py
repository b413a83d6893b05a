"""What the agent takes from the server's wishes."""

from __future__ import annotations

import pytest

from muster_agent import terms
from muster_agent.terms import Terms


def test_the_servers_wishes_are_taken() -> None:
    said = {"interval_s": 10, "heartbeat_s": 30, "window": 4, "backfill_per_s": 7.5}
    assert Terms(10.0, 30.0, 4, 7.5) == terms.of(said)


def test_what_is_missing_stays() -> None:
    assert Terms(10.0, 30.0, 3, 7.5) == terms.of({"window": 3}, Terms(10.0, 30.0, 4, 7.5))


@pytest.mark.parametrize("nonsense", [None, "5", True, -1, float("nan"), float("inf"), [], 0.01])
def test_nonsense_stays_as_it_was(nonsense: object) -> None:
    said = {"interval_s": nonsense, "heartbeat_s": nonsense, "window": nonsense}
    assert Terms(10.0, 30.0, 4, 7.5) == terms.of(said, Terms(10.0, 30.0, 4, 7.5))


def test_too_much_is_cut_and_no_backfill_is_a_wish() -> None:
    said = {"heartbeat_s": 1e9, "window": 1e9, "backfill_per_s": 0}
    assert Terms(None, 3600.0, 1000, 0.0) == terms.of(said)
