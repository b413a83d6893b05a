"""What a topic of the Python client says to the server, and when."""

from __future__ import annotations

from muster_client.messages import (
    Bookmark,
    Changes,
    Check,
    Delivery,
    Position,
    Refusal,
    Snapshot,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from muster_client.subscription import ANSWER_WITHIN_S, CHECK_AGAIN_S, Subscription

EMPTY = Snapshot(topic="servers", epoch="1", version=0, part=1, parts=1, items=())
GAP = Changes(topic="servers", epoch="1", prev=5, version=6, changes=())
MATCHING = Bookmark(topic="servers", epoch="1", version=0, digest=0)
AHEAD = Bookmark(topic="servers", epoch="1", version=1, digest=0)


def kept(
    topic: str, delivery: Delivery = "batch", tick_ms: int | None = None, since: Position | None = None
) -> Subscription:
    """Return a subscription that is wanted for good."""
    subscription = Subscription(topic, delivery, tick_ms, since)
    subscription.is_kept = True
    return subscription


def opened() -> Subscription:
    """Return a subscription that was answered at 0."""
    subscription = kept("servers")
    subscription.open(0)
    assert Subscribe("servers") == subscription.say(0, None)
    subscription.receive(EMPTY, 0, 0.5)
    return subscription


def refusal(code: str, **fields: float) -> Refusal:
    return Refusal(code=code, message="no", topic="servers", **fields)  # type: ignore[arg-type]  # checked by use


def test_it_asks_once_on_each_connection() -> None:
    subscription = kept("servers", "each", 500, Position("1", 4))
    assert None is subscription.say(0, "w_1")
    subscription.open(0)
    asked = Subscribe("servers", "w_1", "each", 500, Position("1", 4))
    assert [asked, None] == [subscription.say(0, "w_1"), subscription.say(0, "w_1")]
    subscription.receive(Subscribed(topic="servers", epoch="1", version=4), 0, 0.5)
    subscription.close()
    assert (False, None) == (subscription.state.is_current, subscription.say(1, "w_1"))
    subscription.open(2)
    assert asked == subscription.say(2, "w_1")


def test_after_a_gap_it_asks_again_at_once_and_then_with_pauses() -> None:
    subscription, asked_at, now = opened(), [], 1.0
    for _ in range(5):
        subscription.receive(GAP, now, 0.5)
        assert subscription.due_at is not None
        now = subscription.due_at
        asked_at.append(now)
        assert Subscribe("servers", since=Position("1", 0)) == subscription.say(now, None)
        subscription.receive(Subscribed(topic="servers", epoch="1", version=0), now, 0.5)
    assert [1, 1.25, 1.75, 2.75, 4.75] == asked_at
    subscription.receive(GAP, 100, 0.5)
    assert 100 == subscription.due_at  # it was calm for long enough


def test_a_passing_refusal_is_asked_again_after_the_time_that_the_server_names() -> None:
    subscription = opened()
    subscription.receive(GAP, 1, 0)
    subscription.say(1, None)
    subscription.refused(refusal("unavailable", retry_after_ms=3000), 1, 0)
    assert (4, None, None) == (subscription.due_at, subscription.refusal, subscription.say(3.9, None))
    assert Subscribe("servers", since=Position("1", 0)) == subscription.say(4, None)


def test_a_final_refusal_ends_it_until_somebody_wants_it_again() -> None:
    subscription = kept("nothing")
    subscription.open(0)
    subscription.say(0, None)
    subscription.refused(refusal("unknown_topic"), 0, 0)
    assert subscription.refusal is not None
    assert ("unknown_topic", None) == (subscription.refusal.code, subscription.due_at)
    subscription.open(1)
    assert (None, None) == (subscription.say(1, None), subscription.due_at)
    subscription.want(2)
    assert Subscribe("nothing") == subscription.say(2, None)


def test_a_membership_that_ends_ends_it() -> None:
    subscription = opened()
    subscription.refused(refusal("forbidden"), 1, 0)
    assert subscription.refusal is not None
    assert not subscription.state.is_current


def test_a_check_waits_until_the_topic_is_current() -> None:
    subscription = kept("servers")
    subscription.want_check(0)
    subscription.open(0)
    assert [Subscribe("servers"), None] == [subscription.say(0, None), subscription.say(0, None)]
    subscription.receive(EMPTY, 0, 0)
    assert [Check("servers"), None] == [subscription.say(0, None), subscription.say(0, None)]
    subscription.receive(MATCHING, 0, 0)
    assert (1, True) == (subscription.proofs, subscription.was_proven)


def test_a_check_that_cannot_be_compared_yet_is_repeated() -> None:
    subscription = opened()
    subscription.want_check(0)
    subscription.say(0, None)
    subscription.receive(AHEAD, 1, 0)
    assert (0, 1 + CHECK_AGAIN_S, None) == (subscription.proofs, subscription.due_at, subscription.say(1, None))
    assert Check("servers") == subscription.say(1 + CHECK_AGAIN_S, None)


def test_a_check_that_came_between_two_subscriptions_is_repeated_and_ends_nothing() -> None:
    subscription = opened()
    subscription.want_check(0)
    subscription.say(0, None)
    subscription.refused(refusal("bad_request"), 1, 0)
    assert None is subscription.refusal
    assert Check("servers") == subscription.say(1 + CHECK_AGAIN_S, None)


def test_a_digest_that_differs_is_no_proof_and_leads_to_a_snapshot() -> None:
    subscription = opened()
    subscription.receive(Bookmark(topic="servers", epoch="1", version=0, digest=7), 1, 0)
    assert (1, False) == (subscription.proofs, subscription.was_proven)
    assert Subscribe("servers") == subscription.say(1, None)


def test_an_answer_that_does_not_come_is_noticed_and_one_that_grows_is_not() -> None:
    subscription = kept("servers")
    subscription.open(0)
    subscription.say(0, None)
    assert [False, True] == [subscription.is_overdue(ANSWER_WITHIN_S - 1), subscription.is_overdue(ANSWER_WITHIN_S)]
    assert ANSWER_WITHIN_S == subscription.due_at
    subscription.receive(Snapshot(topic="servers", epoch="1", version=0, part=1, parts=2, items=()), 20, 0)
    assert not subscription.is_overdue(ANSWER_WITHIN_S + 1)
    subscription.receive(Snapshot(topic="servers", epoch="1", version=0, part=2, parts=2, items=()), 45, 0)
    assert not subscription.is_overdue(1_000)


def test_it_is_wanted_as_long_as_it_has_a_consumer_and_ended_once() -> None:
    subscription = Subscription("servers")
    subscription.open(0)
    assert None is subscription.say(0, "w_1")
    feed = subscription.new_feed()
    subscription.want(1)
    assert [Subscribe("servers", "w_1"), None] == [subscription.say(1, "w_1"), subscription.say(1, "w_1")]
    del feed
    assert [Unsubscribe("servers", "w_1"), None] == [subscription.say(2, "w_1"), subscription.say(2, "w_1")]
    assert (None, False) == (subscription.due_at, subscription.is_overdue(1_000))
    subscription.open(3)
    assert None is subscription.say(3, "w_1")


def test_who_wants_it_again_resumes_and_asks_no_more_than_once() -> None:
    subscription = Subscription("servers")
    feed = subscription.new_feed()
    subscription.open(0)
    subscription.say(0, None)
    subscription.receive(EMPTY, 0, 0)
    subscription.want(1)
    assert None is subscription.say(1, None)
    del feed
    subscription.say(2, None)
    again = subscription.new_feed()
    subscription.want(3)
    assert [Subscribe("servers", since=Position("1", 0)), None] == [
        subscription.say(3, None),
        subscription.say(3, None),
    ]
    assert again is not None


def test_what_was_refused_is_not_ended() -> None:
    for code in ("unavailable", "unknown_topic"):
        subscription = Subscription("servers")
        feed = subscription.new_feed()
        subscription.open(0)
        subscription.say(0, None)
        subscription.refused(refusal(code), 0, 0)
        del feed
        assert (None, None) == (subscription.say(100, None), subscription.due_at)
