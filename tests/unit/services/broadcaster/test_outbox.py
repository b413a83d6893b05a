"""What waits for one client is bounded, and the slow are found out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.broadcaster.frames import Frame
from services.broadcaster.outbox import Bounds, Outbox
from shared.protocol import Refusal

BOUNDS = Bounds(high_water_bytes=1_000, high_water_frames=4, replies=3, stall_s=30.0)


def frame(size_bytes: int = 100) -> Frame:
    empty = Frame(Refusal(code="bad_request", message="")).size_bytes
    made = Frame(Refusal(code="bad_request", message="x" * (size_bytes - empty)))
    assert size_bytes == made.size_bytes
    return made


class Alarm:
    """Counts how often the sender was woken."""

    def __init__(self) -> None:
        self.rings = 0

    def __call__(self) -> None:
        self.rings += 1


def outbox() -> Outbox:
    return Outbox(BOUNDS, Alarm())


def test_frames_leave_in_the_order_they_came() -> None:
    box, frames = outbox(), (frame(), frame(), frame())
    assert box.offer(frames[:1])
    box.push(frames[1:2])
    box.reply(frames[2])
    assert [*frames, None] == [box.take() for _ in range(4)]


def test_the_sender_is_woken_when_there_is_something_after_nothing() -> None:
    alarm = Alarm()
    box = Outbox(BOUNDS, alarm)
    box.push((frame(),))
    box.push((frame(),))
    assert 1 == alarm.rings
    while box.take():
        pass
    box.push((frame(),))
    assert 2 == alarm.rings


def test_the_sender_is_woken_for_a_debt() -> None:
    alarm = Alarm()
    Outbox(BOUNDS, alarm).owe("topic", lambda: None)
    assert 1 == alarm.rings


def test_above_the_high_water_mark_in_bytes_nothing_is_taken() -> None:
    box = outbox()
    assert [True, True, False] == [box.offer((frame(600),)) for _ in range(3)]
    assert 1_200 == box.queued_bytes


def test_above_the_high_water_mark_in_frames_nothing_is_taken() -> None:
    box = outbox()
    assert [True] * 4 + [False] == [box.offer((frame(),)) for _ in range(5)]


def test_there_is_room_again_when_frames_were_taken() -> None:
    box = outbox()
    while box.offer((frame(600),)):
        pass
    box.take()
    assert box.offer((frame(),))


def test_a_debt_is_paid_when_the_queue_has_emptied() -> None:
    box, first, owed = outbox(), frame(), frame()
    box.push((first,))
    box.owe("topic", lambda: box.push((owed,)))
    assert [first, owed, None] == [box.take() for _ in range(3)]


def test_debts_are_paid_one_after_the_other() -> None:
    box, owed = outbox(), (frame(), frame())
    for debtor, payment in zip("ab", owed, strict=True):
        box.owe(debtor, lambda payment=payment: box.push((payment,)))  # type: ignore[misc]  # a lambda with a default
    assert owed[0] is box.take()
    assert 0 == len(box)
    assert owed[1] is box.take()


def test_a_debt_that_cannot_be_paid_now_does_not_hold_up_the_next() -> None:
    box, owed = outbox(), frame()
    box.owe("unreadable", lambda: None)
    box.owe("topic", lambda: box.push((owed,)))
    assert [owed, None] == [box.take(), box.take()]


def test_a_forgiven_debt_is_not_paid() -> None:
    box = outbox()
    box.owe("topic", lambda: box.push((frame(),)))
    box.forgive("topic")
    assert box.take() is None


def test_a_client_that_takes_nothing_for_too_long_is_too_slow() -> None:
    box = outbox()
    box.push((frame(), frame()))
    box.take()
    assert [False, False, True] == [box.is_too_slow(now) for now in (0.0, 30.0, 30.1)]


def test_a_client_that_takes_something_now_and_then_is_kept() -> None:
    box = outbox()
    box.push((frame(),) * 4)
    verdicts = []
    for now in (0.0, 29.0, 58.0, 87.0):
        verdicts.append(box.is_too_slow(now))
        box.take()
    assert [False] * 4 == verdicts


def test_a_client_for_whom_there_is_nothing_is_kept() -> None:
    box = outbox()
    box.push((frame(),))
    assert (True, True) == (box.take() is not None, box.take() is None)
    assert [False, False] == [box.is_too_slow(now) for now in (0.0, 1000.0)]


def test_a_client_that_does_not_take_its_last_frame_is_too_slow() -> None:
    box = outbox()
    box.push((frame(),))
    box.take()  # it is being sent
    assert [False, True] == [box.is_too_slow(now) for now in (0.0, 31.0)]


def test_a_client_that_asks_and_never_reads_the_answers_is_too_slow() -> None:
    box = outbox()
    for _ in range(4):
        box.reply(frame())
    assert box.is_too_slow(0.0)


def test_answers_that_were_read_do_not_count() -> None:
    box = outbox()
    for _ in range(4):
        box.reply(frame())
        while box.take():
            pass
    assert not box.is_too_slow(0.0)


def test_what_was_taken_is_counted_once() -> None:
    box = outbox()
    box.push((frame(100), frame(200)))
    box.take()
    box.take()
    assert [(2, 300), (0, 0)] == [box.take_counts(), box.take_counts()]


@given(st.lists(st.sampled_from(["offer", "owe", "take"]), max_size=200))
def test_no_more_waits_than_the_mark_and_one_payment(acts: list[str]) -> None:
    box = outbox()
    payment = (frame(700), frame(700))
    for act in acts:
        if act == "offer":
            box.offer((frame(300),))
        elif act == "owe":
            box.owe("topic", lambda: box.push(payment))
        else:
            box.take()
        assert box.queued_bytes <= 1_000 + 1_400
