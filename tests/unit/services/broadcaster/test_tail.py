"""Following the log: what is passed on, and what is noticed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from services.broadcaster.tail import Tail
from shared.change import ChangeSet, Entry, EpochOpened
from shared.errors import RetryLater
from shared.io.changelog.read import LogReader
from shared.position import Position
from tests.support.topic_log import TOPIC

Reply = dict[int, list[Entry]] | Exception


def change_set(epoch: int, seq: int) -> ChangeSet:
    return ChangeSet(Position(epoch, seq), TOPIC, seq - 1, seq, 0, "", "", ())


class ScriptedReader(LogReader):
    """Gives the replies of a script, then stands still; `asked` are the positions of partition 1 it was asked for."""

    def __init__(self, last: Position | None, *script: Reply) -> None:
        super().__init__(Redis(), partitions=2)
        self._last = last
        self._script = deque(script)
        self.asked: list[str] = []
        self.is_over = asyncio.Event()

    async def last_position(self, partition: int) -> Position | None:
        return self._last if partition == 1 else None

    async def entries(
        self, after: Mapping[int, Position], *, block_ms: int | None, limit: int = 1000
    ) -> dict[int, list[Entry]]:
        del block_ms, limit
        self.asked.append(str(after[1]))
        if not self._script:
            self.is_over.set()
            await asyncio.Event().wait()
        reply = self._script.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply


class Notes:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def take_in(self, change_sets: list[ChangeSet]) -> None:
        self.heard.append(" ".join(str(change_set.position) for change_set in change_sets))

    def epoch_opened(self, partition: int, epoch: int) -> None:
        self.heard.append(f"epoch {epoch} of {partition}")

    def entries_lost(self, partition: int) -> None:
        self.heard.append(f"lost of {partition}")


async def follow(reader: ScriptedReader) -> list[str]:
    """Follow a script to its end and return what was told."""
    notes = Notes()
    tail = Tail(reader, notes)
    with pytest.raises(RetryLater):
        await tail.check()
    task = asyncio.create_task(tail.run())
    async with asyncio.timeout(5):
        await reader.is_over.wait()
    await tail.check()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return notes.heard


async def test_it_begins_at_the_end_of_the_log_and_goes_on_from_there() -> None:
    reader = ScriptedReader(Position(1, 7), {1: [change_set(1, 8), change_set(1, 9)]}, {}, {1: [change_set(1, 10)]})
    assert ["1-8 1-9", "1-10"] == await follow(reader)
    assert ["1-7", "1-9", "1-9", "1-10"] == reader.asked


async def test_an_empty_log_is_followed_from_its_beginning() -> None:
    reader = ScriptedReader(None, {1: [EpochOpened(Position(1, 0)), change_set(1, 1)]})
    assert ["epoch 1 of 1", "1-1"] == await follow(reader)
    assert ["0-0", "1-1"] == reader.asked


async def test_a_new_epoch_is_told_in_its_place() -> None:
    entries: list[Entry] = [change_set(1, 8), EpochOpened(Position(2, 0)), change_set(2, 1)]
    assert ["1-8", "epoch 2 of 1", "2-1"] == await follow(ScriptedReader(Position(1, 7), {1: entries}))


async def test_a_gap_is_told_before_what_follows_it() -> None:
    entries: list[Entry] = [change_set(1, 8), change_set(1, 10)]
    assert ["1-8", "lost of 1", "1-10"] == await follow(ScriptedReader(Position(1, 7), {1: entries}))


async def test_an_epoch_whose_opening_was_trimmed_is_a_gap() -> None:
    entries: list[Entry] = [change_set(2, 3)]
    assert ["lost of 1", "2-3"] == await follow(ScriptedReader(Position(1, 7), {1: entries}))


async def test_a_server_that_does_not_answer_is_asked_again_from_the_same_position() -> None:
    reader = ScriptedReader(Position(1, 7), RedisConnectionError("gone"), {1: [change_set(1, 8)]})
    assert ["1-8"] == await follow(reader)
    assert ["1-7", "1-7", "1-8"] == reader.asked


async def test_what_it_does_not_understand_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        await Tail(ScriptedReader(None, ZeroDivisionError()), Notes()).run()
