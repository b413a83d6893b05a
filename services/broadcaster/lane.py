"""The subscribers of a topic who get the same frames at the same moments. Pure."""

from collections.abc import Callable

from services.broadcaster import metrics
from services.broadcaster.frames import Frames, TopicFrames
from services.broadcaster.pacing import Pacing
from services.broadcaster.subscription import Subscription
from shared.protocol import Delivery
from shared.topic import TopicState


class Lane:
    """The live subscribers of one delivery and one conflation tick."""

    def __init__(self, delivery: Delivery, tick_s: float) -> None:
        self.pacing = Pacing(tick_s)
        self.live: dict[Subscription, None] = {}
        self.owes_bookmark = False
        """Whether its subscribers are to be told where the topic stands, once they have all changes."""
        self._delivery = delivery
        self._sent = 0

    def start_at(self, version: int) -> None:
        """Take what happened up to here for sent: whoever joins is brought here by its answer."""
        self._sent = version
        self.pacing.clear()

    def fan_out(self, frames: TopicFrames, state: TopicState, clock: Callable[[], float]) -> list[Subscription]:
        """Send what has changed since it last did; returns those who had no room for it."""
        began = clock()
        skipped: list[Subscription] = []
        if self.live:
            version, news = state.version, frames.since(state, self._sent, self._delivery)
            single = news[0] if len(news) == 1 else None
            reached = 0
            for subscription in self.live:
                if subscription.version == version:  # it came after these changes
                    continue
                outbox = subscription.outbox
                if single is not None and outbox.flows:  # nearly always: as `offer` does it, without the call
                    outbox.write(outbox.form(single))
                elif not outbox.offer(news):
                    skipped.append(subscription)
                    continue
                subscription.version = version
                reached += 1
            metrics.TRAFFIC.note(news, reached)
        self._sent = state.version
        self.pacing.sent(began, clock())
        return skipped

    def send_bookmark(self, bookmark: Frames) -> None:
        """Tell where the topic stands to all who have room for it."""
        self.owes_bookmark = False
        metrics.TRAFFIC.note(bookmark, sum(subscription.outbox.offer(bookmark) for subscription in self.live))
