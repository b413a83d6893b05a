"""A channel over a model of the log, and subscribers that read only when the test says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.broadcaster.channel import Channel
from services.broadcaster.frames import TopicFrames
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.subscription import Subscription
from shared.change import ChangeSet
from shared.protocol import Delivery, Refusal, Since
from tests.support.played_wire import PlayedWire, messages
from tests.support.topic_log import TOPIC, Log

PACE = Pace(tick_s=0.1, bookmark_s=30, behind_s=2, answer_s=5, linger_s=60)
BOUNDS = Bounds(high_water_bytes=1_000, high_water_frames=4)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class World:
    """A channel over a model of the log, with a clock that the test moves. Several may be replicas over one log."""

    def __init__(self, log: Log | None = None, *, part_bytes: int = 1_000) -> None:
        self.now = 100.0
        self.log = Log() if log is None else log
        self.frames = TopicFrames(TOPIC, lambda: AT, part_bytes=part_bytes)
        self.channel = Channel(TOPIC, self.frames, PACE, lambda: self.now, on_wait=lambda _: None)

    def load(self) -> None:
        self.channel.begin_load()
        self.channel.finish_load(self.log.snapshot(), self.log.entries)

    def append(self, *record_ids: str) -> None:
        """Append a change set, which the channel takes in and sends if it may."""
        self.take_in(self.log.append([(record_id, False) for record_id in record_ids or ("a",)]))

    def take_in(self, change_set: ChangeSet) -> None:
        self.channel.take_in(change_set)
        self.channel.tick(self.now)

    def wait(self, time_s: float) -> None:
        """Let time pass, with ticks when they are due, as long as the channel is wanted."""
        end = self.now + time_s
        while self.channel.due_at <= end and not self.channel.is_abandoned(self.now):
            self.now = max(self.now, self.channel.due_at)
            self.channel.tick(self.now)
        self.now = end


class Client:
    """A subscriber that reads only when the test says so."""

    def __init__(
        self, world: World, since: Since | None = None, delivery: Delivery = Delivery.BATCH, tick_s: float = 0.0
    ) -> None:
        self.world = world
        self.wire = PlayedWire(BOUNDS)
        self.outbox = self.wire.outbox
        self.refusals: list[Refusal] = []
        self.delivery, self.tick_s = delivery, tick_s
        self.subscription = self.subscribe(since)

    def subscribe(self, since: Since | None) -> Subscription:
        def refused(_: Subscription, refusal: Refusal) -> None:
            self.refusals.append(refusal)

        made = Subscription(
            TOPIC,
            self.outbox,
            since=since,
            asked_at=self.world.now,
            on_refused=refused,
            delivery=self.delivery,
            tick_s=self.tick_s,
        )
        self.world.channel.subscribe(made)
        return made

    def leave(self) -> None:
        self.world.channel.unsubscribe(self.subscription, self.world.now)

    def check(self) -> None:
        """Ask for a bookmark."""
        self.world.channel.check(self.subscription)

    def read(self) -> list[dict[str, Any]]:
        """Return every message that waits."""
        return messages(self.wire.take())

    def brief(self) -> list[tuple[Any, ...]]:
        """Return what every message says of versions."""
        return [(m["op"], m["prev"], m["version"]) if "prev" in m else (m["op"], m["version"]) for m in self.read()]
