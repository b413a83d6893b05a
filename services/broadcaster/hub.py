"""Where the log meets the clients: the open topics, fed by the tail, opened on demand and closed when unused."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from math import inf

import structlog
from redis.exceptions import RedisError

from services.broadcaster import metrics
from services.broadcaster.agenda import Agenda
from services.broadcaster.channel import Channel
from services.broadcaster.frames import TopicFrames
from services.broadcaster.pace import Pace
from services.broadcaster.recent import RecentEntries
from services.broadcaster.subscription import Subscription
from services.broadcaster.tail import Tail
from shared.change import ChangeSet
from shared.errors import LogSealed, MustRefetch
from shared.io.changelog.read import LogReader
from shared.names import Topic, partition_of

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_SHORTEST_PAUSE_S = 0.001  # the resolution of the event loop's timers

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """Return the time that clients are told."""
    return datetime.now(UTC)


class Hub:
    """The open topics of one process. `clock` gives seconds that never go back.

    `run` must be running for anything to happen; the other methods never wait.
    """

    def __init__(self, reader: LogReader, pace: Pace, *, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._pace = pace
        self._clock = clock
        self._recent = RecentEntries(reader)
        self._tail = Tail(reader, self)
        self._channels: dict[Topic, Channel] = {}
        self._agenda: Agenda[Channel] = Agenda()
        self._sleeps_until = inf
        self._woken = asyncio.Event()
        self._loads: dict[Channel, asyncio.Task[None]] = {}
        self._opening = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    async def run(self, asked_to_end: asyncio.Event) -> None:
        """Follow the log and serve the topics until asked to end."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            tasks = [group.create_task(self._tail.run()), group.create_task(self._keep_time())]
            for channel in self._channels.values():
                self._attend(channel)
            await asked_to_end.wait()
            self._group = None
            for task in (*tasks, *self._loads.values()):
                task.cancel()

    async def check(self) -> None:
        """Raise RetryLater while the log is not being followed."""
        await self._tail.check()

    def subscribe(self, subscription: Subscription) -> None:
        """Register a subscriber of a topic; it is answered now, or when its topic has been read."""
        channel = self._channels.get(subscription.topic) or self._open(subscription.topic)
        channel.subscribe(subscription)
        self._attend(channel)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a subscriber; it gets nothing any more."""
        channel = self._channels.get(subscription.topic)
        if channel is not None:
            channel.unsubscribe(subscription, self._clock())
            self._attend(channel)

    def bookmark(self, subscription: Subscription) -> None:
        """Send a subscriber a bookmark, after what it has missed."""
        channel = self._channels.get(subscription.topic)
        if channel is not None:
            channel.check(subscription)

    def take_in(self, change_sets: list[ChangeSet]) -> None:
        """Fold in what the log brings, then send what may go out at once."""
        touched: dict[Channel, None] = {}
        for change_set in change_sets:
            channel = self._channels.get(change_set.topic)
            if channel is not None:
                channel.take_in(change_set)
                touched[channel] = None
        now = self._clock()
        for channel in touched:
            channel.tick(now)
            self._attend(channel)

    def epoch_opened(self, partition: int, epoch: int) -> None:
        """Read the topics of a partition again that are of an earlier epoch, also those that could not be read."""
        self._opening.set()
        self._opening = asyncio.Event()
        for channel in self._channels_of(partition):
            channel.opened(epoch)
            self._attend(channel)

    def entries_lost(self, partition: int) -> None:
        """Read all topics of a partition again."""
        for channel in self._channels_of(partition):
            channel.invalidate()
            self._attend(channel)

    def _channels_of(self, partition: int) -> list[Channel]:
        partitions = self._reader.partitions
        return [c for topic, c in self._channels.items() if partition_of(topic.workspace_id, partitions) == partition]

    def _open(self, topic: Topic) -> Channel:
        channel = Channel(topic, TopicFrames(topic, utc_now), self._pace, self._clock, on_wait=self._attend)
        self._channels[topic] = channel
        metrics.TOPICS.inc()
        return channel

    def _close(self, channel: Channel) -> None:
        del self._channels[channel.topic]
        self._agenda.discard(channel)
        metrics.TOPICS.dec()

    def _attend(self, channel: Channel) -> None:
        """See to it that a topic is read when it has to be, and looked at when something is due."""
        if channel.needs_load and channel not in self._loads and self._group is not None:
            self._loads[channel] = self._group.create_task(self._load(channel))
        due = channel.due_at
        self._agenda.add(channel, due)
        if due < self._sleeps_until:
            self._woken.set()

    async def _load(self, channel: Channel) -> None:
        pause_s = _FIRST_PAUSE_S
        await self._tail.started.wait()
        while self._channels.get(channel.topic) is channel:
            opening = self._opening
            if await self._try_to_load(channel) and not channel.needs_load:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.5, 1)):  # noqa: S311  (spreads retries, no secret)
                    await opening.wait()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        del self._loads[channel]  # nothing was waited for since the load succeeded: what comes up now begins another

    async def _try_to_load(self, channel: Channel) -> bool:
        channel.begin_load()
        try:
            snapshot = await self._reader.snapshot(channel.topic)
            recent = await self._recent.of(channel.topic)
            channel.finish_load(snapshot, recent)
        except (LogSealed, MustRefetch, RedisError, OSError) as error:
            metrics.TOPIC_LOADS.labels("failed").inc()
            log.debug("a topic cannot be read yet", topic=str(channel.topic), reason=f"{type(error).__name__}: {error}")
            return False
        metrics.TOPIC_LOADS.labels("done").inc()
        return True

    async def _keep_time(self) -> None:
        while True:
            now = self._clock()
            for channel in self._agenda.pop_due(now):
                channel.tick(now)
                if channel.is_abandoned(now):
                    self._close(channel)
                else:
                    self._attend(channel)
            self._sleeps_until = self._agenda.next_due
            self._woken.clear()
            pause_s = max(_SHORTEST_PAUSE_S, self._sleeps_until - self._clock())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s if pause_s < inf else None):
                    await self._woken.wait()
