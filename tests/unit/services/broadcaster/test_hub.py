"""The open topics of a process: when they are read, sent, and closed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from services.broadcaster.frames import frame_of
from services.broadcaster.hub import Hub
from services.broadcaster.outbox import Bounds, Outbox
from services.broadcaster.pace import Pace
from services.broadcaster.subscription import Subscription
from shared.change import ChangeSet, Entry, EpochOpened
from shared.errors import LogSealed
from shared.io.changelog.read import LogReader
from shared.names import Topic, partition_of
from shared.position import Position
from shared.protocol import Refusal
from shared.topic import Snapshot
from tests.support.played_wire import WHOLE
from tests.support.topic_log import TOPIC, Log

NEVER_S = 1e6
PATIENT = Pace(tick_s=0.02, bookmark_s=NEVER_S, behind_s=NEVER_S, answer_s=NEVER_S, linger_s=NEVER_S)
"""Nothing happens by itself, apart from the tick."""


class FakeReader(LogReader):
    """Reads from a model of the log; `faults` are raised first, one for each reading of a topic."""

    def __init__(self) -> None:
        super().__init__(Redis())
        self.log = Log()
        self.faults: list[Exception] = []
        self.readings = 0
        self.knows_end = asyncio.Event()
        self.knows_end.set()
        self._news: asyncio.Queue[list[Entry]] = asyncio.Queue()

    def bring(self, *entries: Entry) -> None:
        """Let the tail find these entries."""
        self._news.put_nowait(list(entries))

    async def last_position(self, partition: int) -> Position | None:
        del partition
        await self.knows_end.wait()
        return Position(self.log.epoch, self.log.seq)

    async def entries(
        self, after: Mapping[int, Position], *, block_ms: int | None, limit: int = 1000
    ) -> dict[int, list[Entry]]:
        del after, block_ms, limit
        return {partition_of(TOPIC.workspace_id, self.partitions): await self._news.get()}

    async def snapshot(self, topic: Topic) -> Snapshot:
        del topic
        self.readings += 1
        if self.faults:
            raise self.faults.pop(0)
        return self.log.snapshot()

    async def recent_by_topic(self, partition: int, *, entries: int, size_bytes: int) -> dict[Topic, list[ChangeSet]]:
        del partition, entries, size_bytes
        return {TOPIC: self.log.entries}


class Client:
    """A subscriber of the topic."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._received: asyncio.Queue[Any] = asyncio.Queue()
        self.outbox = Outbox(Bounds(), self._received.put_nowait, WHOLE)
        self.subscription = Subscription(
            TOPIC, self.outbox, since=None, asked_at=time.monotonic(), on_refused=lambda *_: None
        )
        hub.subscribe(self.subscription)

    async def receive(self) -> dict[str, Any]:
        """Return the next message, within a deadline."""
        async with asyncio.timeout(5):
            frame = await self._received.get()
        message: dict[str, Any] = json.loads(frame.payloads[0])
        return message

    def leave(self) -> None:
        """End the subscription."""
        self._hub.unsubscribe(self.subscription)


@asynccontextmanager
async def running(reader: FakeReader, pace: Pace = PATIENT) -> AsyncIterator[Hub]:
    """Run a hub over this reader."""
    hub, asked_to_end = Hub(reader, pace, clock=time.monotonic), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.run(asked_to_end))
        await asyncio.sleep(0)
        try:
            yield hub
        finally:
            asked_to_end.set()


async def test_a_topic_is_read_only_after_the_end_of_the_log_is_known() -> None:
    reader = FakeReader()
    reader.knows_end.clear()
    async with running(reader) as hub:
        client = Client(hub)
        for _ in range(20):
            await asyncio.sleep(0)
        assert 0 == reader.readings
        reader.knows_end.set()
        assert "snapshot" == (await client.receive())["op"]


async def test_a_topic_is_read_once_for_all_its_subscribers() -> None:
    reader = FakeReader()
    async with running(reader) as hub:
        for client in [Client(hub) for _ in range(10)]:
            await client.receive()
    assert 1 == reader.readings


async def test_a_topic_that_cannot_be_read_is_read_again() -> None:
    reader = FakeReader()
    reader.faults = [LogSealed("sealed"), RedisConnectionError("gone"), OSError("unreachable")]
    async with running(reader) as hub:
        assert "snapshot" == (await Client(hub).receive())["op"]
    assert 4 == reader.readings


async def test_a_topic_that_cannot_be_read_is_read_again_at_once_when_an_epoch_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.broadcaster.hub._FIRST_PAUSE_S", NEVER_S)
    reader = FakeReader()
    reader.faults = [LogSealed("sealed")]
    async with running(reader) as hub:
        client = Client(hub)
        async with asyncio.timeout(5):
            while reader.faults:
                await asyncio.sleep(0)
        reader.log.open_epoch(lost_versions=0)
        reader.bring(EpochOpened(Position(2, 0)))
        assert "2" == (await client.receive())["epoch"]


async def test_a_new_epoch_is_told_to_subscribers() -> None:
    reader = FakeReader()
    async with running(reader) as hub:
        client = Client(hub)
        await client.receive()
        reader.log.open_epoch(lost_versions=0)
        reader.bring(EpochOpened(Position(2, 0)))
        bookmark = await client.receive()
        assert ("bookmark", "2") == (bookmark["op"], bookmark["epoch"])


async def test_subscribers_are_brought_up_to_date_after_entries_were_lost() -> None:
    reader = FakeReader()
    async with running(reader) as hub:
        client = Client(hub)
        await client.receive()
        reader.log.append([("a", False)])
        elsewhere = ChangeSet(Position(1, 2), Topic(TOPIC.workspace_id, "agents"), 0, 1, 0, "", "", ())
        reader.bring(elsewhere)
        changes = await client.receive()
        assert ("changes", 1) == (changes["op"], changes["version"])


async def test_who_read_too_slowly_for_an_answer_is_told_soon_that_its_topic_cannot_be_read() -> None:
    reader = FakeReader()
    reader.faults = [LogSealed("sealed")] * 1_000
    pace = Pace(tick_s=0.02, bookmark_s=NEVER_S, behind_s=0.02, answer_s=0.04, linger_s=NEVER_S)
    outbox = Outbox(Bounds(high_water_frames=1), lambda _: None, WHOLE)
    outbox.block()
    outbox.push((frame_of(Refusal(code="bad_request", message="")),))
    is_refused = asyncio.Event()
    subscription = Subscription(
        TOPIC, outbox, since=None, asked_at=time.monotonic(), on_refused=lambda *_: is_refused.set()
    )
    async with running(reader, pace) as hub:
        hub.subscribe(subscription)
        for _ in range(20):
            await asyncio.sleep(0)
        outbox.flow()
        async with asyncio.timeout(2):
            await is_refused.wait()


async def test_what_comes_within_a_tick_goes_out_when_it_ends() -> None:
    reader = FakeReader()
    async with running(reader) as hub:
        client = Client(hub)
        await client.receive()
        for _ in range(3):
            reader.bring(reader.log.append([("a", False)]))
        versions: list[int] = []
        while not versions or versions[-1] != 3:
            versions.append((await client.receive())["version"])
        assert [1, 3] == versions


async def test_a_topic_that_nobody_wants_is_closed_and_read_again_when_it_is_wanted() -> None:
    reader = FakeReader()
    pace = Pace(tick_s=0.02, bookmark_s=NEVER_S, behind_s=NEVER_S, answer_s=NEVER_S, linger_s=0.05)
    async with running(reader, pace) as hub:
        client = Client(hub)
        await client.receive()
        client.leave()
        async with asyncio.timeout(5):
            while hub._channels:
                await asyncio.sleep(0.01)
        await Client(hub).receive()
    assert 2 == reader.readings


async def test_a_topic_is_kept_for_a_subscriber_that_comes_back_soon() -> None:
    reader = FakeReader()
    async with running(reader) as hub:
        client = Client(hub)
        await client.receive()
        client.leave()
        await Client(hub).receive()
    assert 1 == reader.readings


async def test_it_ends_while_a_topic_cannot_be_read() -> None:
    reader = FakeReader()
    reader.faults = [LogSealed("sealed")] * 1_000
    async with asyncio.timeout(5), running(reader) as hub:
        Client(hub)
        while len(reader.faults) == 1_000:
            await asyncio.sleep(0)
