"""What one connection of the stream sends next, and what it makes of the answers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_agent.answers import Rejection
from muster_agent.buffer import Sample
from muster_agent.conversation import Configured, Conversation, Deferred, Event, Kind, Refused, Taken
from muster_agent.errors import Unavailable
from muster_agent.pace import Pace
from muster_agent.terms import Terms

SAMPLES = (Sample("boot-1", 1, b'{"seq":1}'), Sample("boot-1", 2, b'{"seq":2}'))
CONFIG = {"op": "config", "server_id": "s_1", "interval_s": 5.0, "heartbeat_s": 15.0, "window": 2}


class Talk:
    """A conversation with a server that says what the test says."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.conversation = Conversation(Pace(lambda low, _high: low), 5.0, self.now_s)

    def next_kind(self, *, has_fresh: bool = False, has_late: bool = False) -> Kind | None:
        return self.conversation.next_kind(self.now_s, has_fresh=has_fresh, has_late=has_late)

    def say(self, kind: Kind, samples: tuple[Sample, ...] = (), **fields: object) -> dict[str, Any]:
        said = json.loads(self.conversation.message(kind, self.now_s, fields, samples))
        assert isinstance(said, dict)
        return said

    def hear(self, message: object) -> Event | None:
        return self.conversation.receive(json.dumps(message).encode(), self.now_s)

    def open(self) -> None:
        self.say(Kind.HANDSHAKE)
        self.hear(CONFIG)
        self.hear({"op": "ack", "seq": 1})


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def opened(talk: Talk) -> Talk:
    talk.open()
    return talk


def test_a_handshake_is_the_first_message_and_samples_wait_for_its_answer(talk: Talk) -> None:
    assert Kind.HANDSHAKE is talk.next_kind(has_fresh=True)
    assert {"op": "handshake", "seq": 1, "boot_id": "b"} == talk.say(Kind.HANDSHAKE, boot_id="b")
    assert None is talk.next_kind(has_fresh=True, has_late=True)
    assert Configured(Terms(5.0, 15.0, 2, 100.0), "s_1") == talk.hear(CONFIG)
    assert None is talk.next_kind(has_fresh=True)
    talk.hear({"op": "ack", "seq": 1})
    assert Kind.FRESH is talk.next_kind(has_fresh=True)


def test_samples_go_as_they_were_encoded(opened: Talk) -> None:
    said = opened.say(Kind.FRESH, SAMPLES)
    assert {"op": "metrics", "seq": 2, "samples": [{"seq": 1}, {"seq": 2}]} == said


def test_an_acknowledgement_gives_back_what_it_is_for(opened: Talk) -> None:
    opened.say(Kind.FRESH, SAMPLES)
    rejected = [{"index": 1, "code": "not_finite", "message": "cpu"}]
    event = opened.hear({"op": "ack", "seq": 2, "accepted": 1, "rejected": rejected})
    assert isinstance(event, Taken)
    assert (SAMPLES, [Rejection(1, "not_finite", "cpu")]) == (event.sent.samples, event.rejected)


def test_new_samples_go_before_late_ones_and_late_ones_one_message_at_a_time(opened: Talk) -> None:
    assert Kind.FRESH is opened.next_kind(has_fresh=True, has_late=True)
    assert Kind.LATE is opened.next_kind(has_late=True)
    opened.say(Kind.LATE, SAMPLES[:1])
    opened.now_s += 1.0
    assert (None, Kind.FRESH) == (opened.next_kind(has_late=True), opened.next_kind(has_fresh=True, has_late=True))
    opened.hear({"op": "ack", "seq": 2})
    assert Kind.LATE is opened.next_kind(has_late=True)


def test_no_more_messages_are_unanswered_than_the_window_has(opened: Talk) -> None:
    opened.say(Kind.FRESH, SAMPLES[:1])
    opened.say(Kind.FRESH, SAMPLES[1:])
    assert None is opened.next_kind(has_fresh=True)
    opened.hear({"op": "ack", "seq": 2})
    assert Kind.FRESH is opened.next_kind(has_fresh=True)


def test_silence_of_a_heartbeat_calls_for_a_sign_of_life(opened: Talk) -> None:
    assert 115.0 == opened.conversation.wake_s(has_late=False)
    opened.now_s = 114.9
    assert None is opened.next_kind()
    opened.now_s = 115.0
    assert Kind.STATUS is opened.next_kind()
    assert {"op": "status", "seq": 2} == opened.say(Kind.STATUS)


@pytest.mark.parametrize(("interval_s", "patience_s"), [(5.0, 15.0), (30.0, 60.0)])
def test_an_answer_may_take_two_intervals_or_a_heartbeat(opened: Talk, interval_s: float, patience_s: float) -> None:
    opened.hear({"op": "config", "interval_s": interval_s})
    assert math.inf == opened.conversation.broken_s()
    opened.say(Kind.FRESH, SAMPLES)
    assert opened.now_s + patience_s == opened.conversation.broken_s()


def test_the_first_answer_may_take_ten_seconds(talk: Talk) -> None:
    talk.say(Kind.HANDSHAKE)
    assert 110.0 == talk.conversation.broken_s()


def test_what_may_be_sent_again_holds_everything_back_until_then(opened: Talk) -> None:
    opened.say(Kind.FRESH, SAMPLES)
    event = opened.hear({"op": "error", "seq": 2, "code": "later", "message": "no", "retry_after_s": 1.5})
    assert isinstance(event, Deferred)
    assert None is opened.next_kind(has_fresh=True)
    assert 101.5 == opened.conversation.wake_s(has_late=True)
    opened.now_s = 101.5
    assert Kind.FRESH is opened.next_kind(has_fresh=True)


def test_late_samples_that_may_be_sent_again_hold_back_late_ones_alone(opened: Talk) -> None:
    opened.say(Kind.LATE, SAMPLES)
    opened.hear({"op": "error", "seq": 2, "code": "later", "message": "no", "retry_after_s": 1.5})
    assert (Kind.FRESH, None) == (opened.next_kind(has_fresh=True), opened.next_kind(has_late=True))
    opened.now_s = 101.5
    assert Kind.LATE is opened.next_kind(has_late=True)


def test_what_will_never_be_taken_is_told(opened: Talk) -> None:
    opened.say(Kind.FRESH, SAMPLES)
    event = opened.hear({"op": "error", "seq": 2, "code": "invalid", "message": "no\n"})
    assert isinstance(event, Refused)
    assert "invalid: no " == event.description


def test_facts_that_will_never_be_taken_do_not_hold_up_samples(talk: Talk) -> None:
    talk.say(Kind.HANDSHAKE)
    talk.hear({"op": "error", "seq": 1, "code": "invalid", "message": "facts"})
    assert Kind.FRESH is talk.next_kind(has_fresh=True)


def test_a_handshake_that_may_be_sent_again_is(talk: Talk) -> None:
    talk.say(Kind.HANDSHAKE)
    talk.hear({"op": "error", "seq": 1, "code": "later", "message": "no", "retry_after_s": 2.0})
    assert None is talk.next_kind(has_fresh=True)
    assert 102.0 == talk.conversation.wake_s(has_late=False)
    talk.now_s = 102.0
    assert Kind.HANDSHAKE is talk.next_kind(has_fresh=True)


def test_a_changed_machine_shakes_hands_again_on_the_same_connection(opened: Talk) -> None:
    opened.conversation.want_handshake()
    assert Kind.HANDSHAKE is opened.next_kind(has_fresh=True)
    opened.say(Kind.HANDSHAKE)
    assert Kind.FRESH is opened.next_kind(has_fresh=True)


def test_nothing_is_said_after_goodbye(opened: Talk) -> None:
    opened.say(Kind.GOODBYE)
    assert (None, True, False) == (
        opened.next_kind(has_fresh=True),
        opened.conversation.said_goodbye,
        opened.conversation.is_quiet,
    )
    opened.hear({"op": "ack", "seq": 2})
    assert opened.conversation.is_quiet


def test_what_is_not_known_yet_is_ignored(opened: Talk) -> None:
    assert None is opened.hear({"op": "terminal", "session": "t_1"})


@pytest.mark.parametrize("answer", [[], "x", {"op": "ack", "seq": 7}, {"op": "ack"}, {"op": "error", "seq": "2"}])
def test_an_answer_to_nothing_that_was_sent_ends_the_connection(opened: Talk, answer: object) -> None:
    opened.say(Kind.FRESH, SAMPLES)
    with pytest.raises(Unavailable):
        opened.hear(answer)


@given(st.lists(st.sampled_from(["send", "ack", "later", "wait"]), max_size=60))
def test_messages_are_numbered_without_a_gap_and_each_is_settled_once(steps: list[str]) -> None:
    talk = Talk()
    talk.open()
    sent, settled = [1], [1]
    for step in steps:
        kind = talk.next_kind(has_fresh=True, has_late=True)
        if step == "send" and kind is not None:
            sent.append(talk.say(kind, SAMPLES)["seq"])
        elif step in {"ack", "later"} and len(settled) < len(sent):
            extra = {"op": "ack"} if step == "ack" else {"op": "error", "retry_after_s": 0.5}
            event = talk.hear({"seq": len(settled) + 1, **extra})
            assert isinstance(event, (Taken, Deferred))
            settled.append(event.sent.seq)
        else:
            talk.now_s += 0.3
        assert len(sent) - len(settled) <= 2
    assert list(range(1, len(sent) + 1)) == sent
    assert sent[: len(settled)] == settled


@pytest.mark.parametrize("odd", [b"[" * 200_000, b"null", b"5", b"\xff", b""])
def test_what_is_no_message_ends_the_connection(opened: Talk, odd: bytes) -> None:
    with pytest.raises(Unavailable, match="no message of Muster's"):
        opened.conversation.receive(odd, opened.now_s)


def test_values_that_make_no_sense_are_passed_over(opened: Talk) -> None:
    assert None is opened.hear({"op": ["ack"], "seq": 2})
    huge = b'{"op":"config","interval_s":1' + b"0" * 400 + b"}"
    configured = opened.conversation.receive(huge, opened.now_s)
    assert isinstance(configured, Configured)
    assert 5.0 == configured.terms.interval_s


def test_no_server_keeps_an_agent_waiting_for_more_than_an_hour(opened: Talk) -> None:
    opened.say(Kind.FRESH, SAMPLES)
    assert isinstance(opened.hear({"op": "error", "seq": 2, "retry_after_s": 1e300}), Deferred)
    assert opened.now_s + 3600 == opened.conversation.wake_s(has_late=False)
