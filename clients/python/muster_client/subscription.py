"""What one topic has to say to the server, and when: asking, asking again with pauses, checking. Without I/O.

Times are seconds of a clock that never goes back, `random` is in [0, 1).
"""

from weakref import WeakSet

from muster_client.errors import Refused
from muster_client.feed import Feed
from muster_client.messages import (
    Bookmark,
    Check,
    ClientMessage,
    Delivery,
    Position,
    Refusal,
    Subscribe,
    TopicMessage,
    Unsubscribe,
)
from muster_client.reconnecting import pause_s
from muster_client.topic import TopicState

CALM_AFTER_S = 30.0
"""A topic that was not asked for again for this long may be asked for at once."""

ANSWER_WITHIN_S = 30.0
"""How long the server may take for the answer to a subscription."""

CHECK_AGAIN_S = 0.25
"""When a bookmark could not be compared, how long to wait for the changes that were on their way."""

EACH_DEPTH = 1_000
"""Changes of a topic with delivery `each` that wait for a consumer one by one, before they are conflated."""

_PASSING = {"too_many", "unavailable"}


class Subscription:
    """One topic on one connection after the other, as long as anybody wants it."""

    def __init__(
        self, topic: str, delivery: Delivery = "batch", tick_ms: int | None = None, since: Position | None = None
    ) -> None:
        self.topic, self.delivery, self.tick_ms, self.since = topic, delivery, tick_ms, since
        self.state = TopicState(since)
        self.is_kept = False
        """Whether it is wanted for good, also without a consumer."""
        self.refusal: Refused | None = None
        self.proofs = 0
        """Bookmarks so far that could be compared."""
        self.was_proven = False
        """Whether the last of them had the digest of what is held."""
        self._feeds: WeakSet[Feed] = WeakSet()
        self._is_asked = False  # on this connection, and not refused since
        self._ask_at: float | None = None
        self._last_asked_at: float | None = None
        self._repeats = 0
        self._owed_since: float | None = None  # while an answer is owed: when it was asked for, or last grew
        self._is_checking = False
        self._check_at: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody would miss it."""
        return self.is_kept or len(self._feeds) > 0

    def new_feed(self) -> Feed:
        """Return the feed of one more consumer, who begins with all that is held; it lives as long as its holder."""
        feed = Feed(self.state, depth=EACH_DEPTH if self.delivery == "each" else 0)
        self._feeds.add(feed)
        return feed

    def open(self, now: float) -> None:
        """Be on a new connection, on which everything must be asked for."""
        self._ask_at, self._owed_since, self._check_at = now, None, now

    def close(self) -> None:
        """Be on no connection."""
        self._is_asked = False
        self._ask_at = self._owed_since = self._check_at = None
        self.state.ask()  # what was going on has ended

    def want(self, now: float) -> None:
        """Be asked for if that is not so, because the topic was refused or nobody wanted it any more."""
        if self.refusal is not None or not (self._is_asked or self._ask_at is not None):
            self.refusal, self._ask_at = None, now

    def want_check(self, now: float) -> None:
        """Let the server say where it stands, as soon as that can be compared."""
        self._is_checking, self._check_at = True, now

    @property
    def due_at(self) -> float | None:
        """When `say` or `is_overdue` are worth asking again; None when only messages can change them."""
        times = [None if self.refusal else self._ask_at, self._check_at if self._can_check else None]
        times.append(None if self._owed_since is None else self._owed_since + ANSWER_WITHIN_S)
        return min((at for at in times if at is not None), default=None)

    def is_overdue(self, now: float) -> bool:
        """Whether the server owes an answer for too long."""
        return self._owed_since is not None and now >= self._owed_since + ANSWER_WITHIN_S

    def say(self, now: float, workspace: str | None) -> ClientMessage | None:
        """Return the next message that is to be sent now; None when there is none. Ask until it is None."""
        if not self.is_wanted:
            return self._leave(workspace)
        if self._ask_at is not None and now >= self._ask_at and self.refusal is None:
            self._is_asked, self._ask_at, self._owed_since, self._last_asked_at = True, None, now, now
            return Subscribe(self.topic, workspace, self.delivery, self.tick_ms, self.state.ask())
        if self._can_check and self._check_at is not None and now >= self._check_at:
            self._check_at = None
            return Check(self.topic, workspace)
        return None

    def _leave(self, workspace: str | None) -> Unsubscribe | None:
        """End what nobody wants any more; what is held stays, to be resumed from."""
        was_asked = self._is_asked
        self.close()
        return Unsubscribe(self.topic, workspace) if was_asked else None

    def receive(self, message: TopicMessage, now: float, random: float) -> None:
        """Take a message of the topic."""
        step = self.state.receive(message)
        if self._owed_since is not None:
            self._owed_since = None if self.state.is_current else now
        for feed in self._feeds:
            feed.advance(step)
        if step.proof is not None:
            self.proofs, self.was_proven = self.proofs + 1, step.proof
            self._is_checking = False
        elif isinstance(message, Bookmark):
            self._check_at = now + CHECK_AGAIN_S
        if step.must_ask:
            self._ask_again(now, random)

    def refused(self, refusal: Refusal, now: float, random: float) -> None:
        """Take a refusal that concerns the topic."""
        was_asked, self._owed_since = self._owed_since is not None, None
        if refusal.code in _PASSING:
            after_s = None if refusal.retry_after_ms is None else refusal.retry_after_ms / 1000
            self._is_asked = False
            self.state.ask()
            self._ask_again(now, random, after_s, is_pause=True)
        elif was_asked or refusal.code == "forbidden":
            self._is_asked = False
            self.refusal, self._ask_at = Refused(refusal.code, refusal.message), None
            self.state.ask()
        else:
            self._check_at = now + CHECK_AGAIN_S  # it was a check that came between two subscriptions

    @property
    def _can_check(self) -> bool:
        return self._is_checking and self.state.is_current and self.refusal is None

    def _ask_again(self, now: float, random: float, after_s: float | None = None, *, is_pause: bool = False) -> None:
        """Once at once, then with growing pauses: a server whose answers do not fit must not be asked in a loop."""
        if self._last_asked_at is None or now - self._last_asked_at > CALM_AFTER_S:
            self._repeats = 0
        repeats, self._repeats = self._repeats, self._repeats + 1
        is_at_once = repeats == 0 and not is_pause
        self._ask_at = now if is_at_once else now + pause_s(max(0, repeats - 1), random, after_s)
        self._owed_since = None
