"""A client's place in one topic: what it will have seen once its outbox has been sent. Pure."""

from collections.abc import Callable
from enum import Enum

from services.broadcaster.outbox import Outbox
from shared.names import Topic
from shared.protocol import Delivery, Refusal, Since


class Standing(Enum):
    """What a subscriber gets."""

    WAITING = "waiting"
    """Nothing yet: its topic is being read, or is behind what the client has seen."""
    OWED = "owed"
    """A catch-up from its own version, when its outbox has room for it."""
    LIVE = "live"
    """Every change."""
    STALE = "stale"
    """Bookmarks: it was told of a new epoch and has to subscribe again."""


class Subscription:
    """One client in one topic. `epoch` and `version` say where it stands; without an epoch it was not answered yet.

    `since` is what the client remembers, `asked_at` when it asked; `on_refused` is called when the topic gives up on
    it, after which it gets nothing any more. `tick_s` is a longer conflation tick than the topic's own, or 0.
    """

    __slots__ = (
        "asked_at",
        "delivery",
        "epoch",
        "is_impatient",
        "on_refused",
        "outbox",
        "since",
        "standing",
        "tick_s",
        "topic",
        "version",
        "wants_bookmark",
    )

    def __init__(  # noqa: PLR0913  (what a client asks for, by name)
        self,
        topic: Topic,
        outbox: Outbox,
        *,
        since: Since | None,
        asked_at: float,
        on_refused: Callable[["Subscription", Refusal], None],
        delivery: Delivery = Delivery.BATCH,
        tick_s: float = 0.0,
    ) -> None:
        self.topic = topic
        self.outbox = outbox
        self.since = since
        self.asked_at = asked_at
        self.on_refused = on_refused
        self.delivery = delivery
        self.tick_s = tick_s
        self.standing = Standing.WAITING
        self.epoch: int | None = None
        self.version = 0
        self.is_impatient = False
        """Whether it has waited long enough for a topic that is behind what it has seen."""
        self.wants_bookmark = False
        """Whether it asked for a bookmark and did not get it yet."""
