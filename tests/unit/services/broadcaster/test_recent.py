"""The newest entries are read once for all who ask at the same time."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from services.broadcaster.recent import RecentEntries
from shared.change import ChangeSet
from shared.io.changelog.read import LogReader
from shared.names import Topic
from tests.support.topic_log import TOPIC, Log

OTHER = Topic(TOPIC.workspace_id, "agents")


class SlowReader(LogReader):
    """Answers when the test says so, with what the log holds when the read begins."""

    def __init__(self) -> None:
        super().__init__(Redis())
        self.log = Log()
        self.reads = 0
        self.may_answer = asyncio.Event()

    async def recent_by_topic(self, partition: int, *, entries: int, size_bytes: int) -> dict[Topic, list[ChangeSet]]:
        del partition, entries, size_bytes
        self.reads += 1
        held = list(self.log.entries)
        await self.may_answer.wait()
        return {TOPIC: held}


async def let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_topics_that_are_opened_at_the_same_time_share_a_read() -> None:
    reader = SlowReader()
    recent = RecentEntries(reader)
    first = asyncio.create_task(recent.of(TOPIC))
    await let_run()
    others = [asyncio.create_task(recent.of(topic)) for topic in (TOPIC, OTHER) * 100]
    await let_run()
    reader.may_answer.set()
    await asyncio.gather(first, *others)
    assert 2 == reader.reads


async def test_who_asks_gets_what_was_there_when_it_asked() -> None:
    reader = SlowReader()
    recent = RecentEntries(reader)
    early = asyncio.create_task(recent.of(TOPIC))
    await let_run()
    change_set = reader.log.append([("a", False)])
    late = asyncio.create_task(recent.of(TOPIC))
    reader.may_answer.set()
    assert ([], [change_set]) == (await early, await late)


async def test_who_stops_waiting_takes_nothing_from_others() -> None:
    reader = SlowReader()
    recent = RecentEntries(reader)
    impatient, patient = asyncio.create_task(recent.of(TOPIC)), asyncio.create_task(recent.of(TOPIC))
    await let_run()
    impatient.cancel()
    reader.may_answer.set()
    assert [] == await patient
