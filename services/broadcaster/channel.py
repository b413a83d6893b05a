"""One topic that is open here: its state, its subscribers, and what each of them gets next. Pure.

A subscriber is registered and answered in one step, so that no change can fall between the two.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from zlib import crc32

from services.broadcaster import metrics
from services.broadcaster.frames import Frames, TopicFrames
from services.broadcaster.lane import Lane
from services.broadcaster.pace import Pace
from services.broadcaster.subscription import Standing, Subscription
from shared.change import ChangeSet
from shared.errors import MustRefetch
from shared.names import Topic
from shared.protocol import Delivery, Refusal, Since
from shared.topic import Resume, Snapshot, TopicState

RETRY_AFTER_MS = 1_000
"""When a subscriber whose topic could not be read may come back."""

MAX_BUFFERED_SETS = 20_000
"""How many change sets may come in while a topic is read; beyond it is read again."""

_RECOVERED = metrics.RESUMES.labels("true")
_REFETCHED = metrics.RESUMES.labels("false")


class Channel:
    """A topic with its subscribers; `now` is always seconds of `clock`, which never goes back.

    Whoever owns it reads the topic when `needs_load` says so (`begin_load`, `finish_load`), passes on what the log
    brings from then on (`take_in`), and calls `tick` at `due_at`. That may be sooner
    after every call, and when `on_wait` is called: whoever has read what was in its way may have to wait from then on.
    """

    def __init__(
        self,
        topic: Topic,
        frames: TopicFrames,
        pace: Pace,
        clock: Callable[[], float],
        *,
        on_wait: Callable[["Channel"], None],
    ) -> None:
        now = clock()
        self.topic = topic
        self.needs_load = True
        self._frames = frames
        self._pace = pace
        self._clock = clock
        self._on_wait = on_wait
        self._lanes: dict[tuple[Delivery, float], Lane] = {}
        self._state: TopicState | None = None
        self._buffer: list[ChangeSet] | None = None
        self._is_dirty = False
        self._subscribers: dict[Subscription, None] = {}
        self._waiting: dict[Subscription, None] = {}
        self._idle_since: float | None = now
        # the bookmarks of many topics are spread over the time between two of them
        self._bookmark_at = now + pace.bookmark_s * (crc32(str(topic).encode()) % 1000) / 1000

    @property
    def due_at(self) -> float:
        """When to call `tick` next."""
        due = min(self._bookmark_at, *(lane.pacing.due_at for lane in self._lanes.values()), inf)
        if self._idle_since is not None:
            due = min(due, self._idle_since + self._pace.linger_s)
        return min(due, min(map(self._patience_ends_at, self._waiting), default=inf))

    def is_abandoned(self, now: float) -> bool:
        """Whether nobody has wanted it for so long that it may be closed."""
        return self._idle_since is not None and now >= self._idle_since + self._pace.linger_s

    def subscribe(self, subscription: Subscription) -> None:
        """Register a subscriber and answer it; one that has to wait is answered, or refused, before long."""
        self._subscribers[subscription] = None
        self._idle_since = None
        if subscription.outbox.has_room:
            self._catch_up(subscription)
        else:
            self._owe(subscription)

    def unsubscribe(self, subscription: Subscription, now: float) -> None:
        """Forget a subscriber, if it is one."""
        subscription.outbox.forgive(subscription)
        for members in (self._subscribers, self._lane_of(subscription).live, self._waiting):
            members.pop(subscription, None)
        if not self._subscribers and self._idle_since is None:
            self._idle_since = now

    def check(self, subscription: Subscription) -> None:
        """Send a bookmark, after what the subscriber has missed."""
        subscription.wants_bookmark = True
        if subscription.standing in {Standing.LIVE, Standing.STALE}:
            if subscription.outbox.has_room:
                self._catch_up(subscription)
            else:
                self._owe(subscription)

    def take_in(self, change_set: ChangeSet) -> None:
        """Fold in what the log brings."""
        if self._buffer is not None:
            self._buffer.append(change_set)
            if len(self._buffer) > MAX_BUFFERED_SETS:
                self._buffer.clear()
                self._is_dirty = True
        if self._state is None:
            return
        try:
            changed = self._state.apply(change_set)
        except MustRefetch:
            self.invalidate()
            return
        if changed:
            for lane in self._lanes.values():
                lane.pacing.mark()
            for subscription in [s for s in self._waiting if s.since and s.since.version <= self._state.version]:
                self._owe(subscription)

    def opened(self, epoch: int) -> None:
        """Note that an epoch of the log has begun."""
        if self._state is None or self._state.epoch < epoch:
            self.invalidate()

    def invalidate(self) -> None:
        """Note that the state cannot be brought up to date by the log any more: it has to be read again."""
        self._state = None
        for lane in self._lanes.values():
            lane.pacing.clear()
        self._is_dirty = True
        self.needs_load = True

    def begin_load(self) -> None:
        """Keep what the log brings from now on; the topic is read after this."""
        self.needs_load = False
        self._is_dirty = False
        self._buffer = []

    def finish_load(self, snapshot: Snapshot, recent: Iterable[ChangeSet]) -> None:
        """Put what was read in place, with what came meanwhile; who became impatient meanwhile wants it read once more.

        Raises MustRefetch when it does not fit together: the load has to begin again.
        """
        if self._is_dirty or self._buffer is None:
            raise MustRefetch("the log has moved on too far while the topic was read")
        state = TopicState(snapshot)
        state.warm(recent)
        for change_set in self._buffer:
            state.apply(change_set)
        self._buffer = None
        self._state = state
        for lane in self._lanes.values():
            lane.start_at(state.version)
        for subscription in self._subscribers:
            self._owe(subscription)

    def tick(self, now: float) -> None:
        """Do what is due: send what has changed, bookmarks, and word to those who have waited long enough."""
        if self._state is not None:
            for lane in self._lanes.values():
                if lane.pacing.due_at <= now:
                    for subscription in lane.fan_out(self._frames, self._state, self._clock):
                        self._owe(subscription)
        if self._bookmark_at <= now:
            self._bookmark_at = now + self._pace.bookmark_s
            self._order_bookmarks()
        self._send_bookmarks()
        for subscription in [s for s in self._waiting if self._patience_ends_at(s) <= now]:
            self._lose_patience(subscription, now)

    def _order_bookmarks(self) -> None:
        for lane in self._lanes.values():
            lane.owes_bookmark = True
        for subscription in self._subscribers:
            if subscription.standing is Standing.STALE:
                self.check(subscription)

    def _send_bookmarks(self) -> None:
        """Send the bookmarks that are owed, but no lane's before its changes."""
        state = self._state
        lanes = [lane for lane in self._lanes.values() if lane.owes_bookmark and not lane.pacing.is_pending]
        if state is None or not lanes:
            return
        bookmark = (self._frames.bookmark(state),)
        for lane in lanes:
            lane.send_bookmark(bookmark)

    def _patience_ends_at(self, subscription: Subscription) -> float:
        if subscription.epoch is not None:  # it has a state to show while the topic is read again
            return inf
        return subscription.asked_at + (self._pace.answer_s if subscription.is_impatient else self._pace.behind_s)

    def _lose_patience(self, subscription: Subscription, now: float) -> None:
        """Read a topic again that stays behind what its subscriber has seen; in the end say that it cannot be read."""
        if not subscription.is_impatient:
            subscription.is_impatient = True
            self.needs_load = True
            return
        self.unsubscribe(subscription, now)
        refusal = Refusal(
            code="unavailable",
            message="the topic cannot be read at the moment",
            topic=self.topic.resource,
            workspace=self.topic.workspace_id,
            retry_after_ms=RETRY_AFTER_MS,
        )
        subscription.on_refused(subscription, refusal)

    def _catch_up(self, subscription: Subscription) -> None:
        """Give a subscriber what it needs to become live, or have it wait."""
        state = self._state
        if state is None:
            self._wait(subscription)
            return
        if subscription.epoch is None:
            self._answer(subscription, state)
        elif subscription.epoch != state.epoch:
            self._stand(subscription, Standing.STALE)
            subscription.wants_bookmark = True
        else:
            metrics.CATCH_UPS.inc(subscription.version != state.version)
            self._send_missed(subscription, state, subscription.version)
        if subscription.wants_bookmark and subscription.standing in {Standing.LIVE, Standing.STALE}:
            subscription.wants_bookmark = False
            _send(subscription, (self._frames.bookmark(state),))

    def _answer(self, subscription: Subscription, state: TopicState) -> None:
        since = subscription.since
        if since is None:
            _send(subscription, self._frames.snapshot(state))
            self._go_live(subscription, state)
            return
        resume = _resume(state, since)
        if resume is Resume.WAIT and (self.needs_load or not subscription.is_impatient):  # what is read next decides
            self._wait(subscription)
            return
        if resume is Resume.RECOVER:
            _send(subscription, (self._frames.subscribed(state, since.version),))
            _RECOVERED.inc()
            self._send_missed(subscription, state, since.version)
        else:
            _send(subscription, self._frames.snapshot(state))
            _REFETCHED.inc()
            self._go_live(subscription, state)

    def _send_missed(self, subscription: Subscription, state: TopicState, version: int) -> None:
        """Bring a subscriber on from `version`; what does not fit into one slice is owed."""
        frames, reached = self._frames.missed(state, version, subscription.delivery)
        _send(subscription, frames)
        if reached == state.version:
            self._go_live(subscription, state)
        else:
            subscription.epoch, subscription.version = state.epoch, reached
            self._owe(subscription)

    def _go_live(self, subscription: Subscription, state: TopicState) -> None:
        subscription.epoch, subscription.version = state.epoch, state.version
        self._stand(subscription, Standing.LIVE)

    def _wait(self, subscription: Subscription) -> None:
        self._stand(subscription, Standing.WAITING)
        self._on_wait(self)

    def _owe(self, subscription: Subscription) -> None:
        self._stand(subscription, Standing.OWED)
        subscription.outbox.owe(subscription, partial(self._catch_up, subscription))

    def _lane_of(self, subscription: Subscription) -> Lane:
        key = (subscription.delivery, max(self._pace.tick_s, subscription.tick_s))
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(*key)
            if self._state is not None:
                lane.start_at(self._state.version)
        return lane

    def _stand(self, subscription: Subscription, standing: Standing) -> None:
        subscription.standing = standing
        live = self._lane_of(subscription).live
        for members, held in ((live, Standing.LIVE), (self._waiting, Standing.WAITING)):
            if standing is held:
                members[subscription] = None
            else:
                members.pop(subscription, None)


def _resume(state: TopicState, since: Since) -> Resume:
    """Decide what a client can be given; one that knows a later epoch waits, so that it is not set back to this one."""
    if since.epoch == str(state.epoch):
        return state.resume(state.epoch, since.version)
    is_epoch = since.epoch.isascii() and since.epoch.isdecimal()
    return Resume.WAIT if is_epoch and int(since.epoch) > state.epoch else Resume.REFETCH


def _send(subscription: Subscription, frames: Frames) -> None:
    subscription.outbox.push(frames)
    metrics.TRAFFIC.note(frames)
