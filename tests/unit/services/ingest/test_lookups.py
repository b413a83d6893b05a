"""Lookups: many keys with one query, remembered for a while, and never waited for in vain."""

import asyncio
from collections.abc import Sequence

import pytest

from services.ingest.lookups import MEMORY_S, UNKNOWN_MEMORY_S, Lookups
from shared.errors import RetryLater


class Source:
    """What is looked up in; the test opens its gate."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.seconds = 0.0
        self.failing = False
        self.lookups: Lookups[str, int] = Lookups(self.query, clock=lambda: self.seconds)

    async def query(self, keys: Sequence[str]) -> dict[str, int]:
        self.queries.append([*keys])
        await self.gate.wait()
        if self.failing:
            raise ConnectionError
        return {key: len(key) for key in keys if key.startswith("k")}


async def test_what_arrives_during_a_query_shares_the_next_one() -> None:
    source = Source()
    source.gate.clear()
    waiting = [asyncio.create_task(source.lookups.get(key)) for key in ("k", "kk", "kkk", "kk", "nobody")]
    while not source.queries:
        await asyncio.sleep(0)
    late = asyncio.create_task(source.lookups.get("klate"))
    await asyncio.sleep(0)
    source.gate.set()
    assert [1, 2, 3, 2, None] == await asyncio.gather(*waiting)
    assert 5 == await late
    assert 6 == sum(map(len, source.queries)) + 1  # one key was asked for twice
    assert len(source.queries) <= 3


async def test_what_was_found_is_remembered_longer_than_what_was_not() -> None:
    source = Source()
    for _ in range(2):
        assert (1, None) == (await source.lookups.get("k"), await source.lookups.get("nobody"))
    assert [["k"], ["nobody"]] == source.queries
    source.seconds = UNKNOWN_MEMORY_S
    await source.lookups.get("k")
    await source.lookups.get("nobody")
    assert [["k"], ["nobody"], ["nobody"]] == source.queries
    source.seconds = MEMORY_S
    await source.lookups.get("k")
    assert ["k"] == source.queries[-1]


async def test_failure_is_told_to_all_who_wait_and_is_not_remembered() -> None:
    source = Source()
    source.failing = True
    outcomes = await asyncio.gather(*(source.lookups.get(key) for key in ("k", "k", "kk")), return_exceptions=True)
    assert [RetryLater] * 3 == [type(outcome) for outcome in outcomes]
    source.failing = False
    assert 1 == await source.lookups.get("k")


async def test_one_who_goes_away_does_not_take_the_answer_from_others() -> None:
    source = Source()
    source.gate.clear()
    first, second = (asyncio.create_task(source.lookups.get("k")) for _ in range(2))
    while not source.queries:
        await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert 1 == await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_is_forgotten_is_looked_up_again() -> None:
    source = Source()
    for key in ("k", "kk"):
        await source.lookups.get(key)
    source.lookups.forget(lambda found: found == 1)
    for key in ("k", "kk"):
        await source.lookups.get(key)
    assert [["k"], ["kk"], ["k"]] == source.queries


async def test_what_is_forgotten_while_it_is_looked_up_is_not_remembered() -> None:
    source = Source()
    source.gate.clear()
    first = asyncio.create_task(source.lookups.get("k"))
    while not source.queries:
        await asyncio.sleep(0)
    source.lookups.forget(lambda _: True)
    source.gate.set()
    assert 1 == await first
    assert 1 == await source.lookups.get("k")
    assert [["k"], ["k"]] == source.queries
