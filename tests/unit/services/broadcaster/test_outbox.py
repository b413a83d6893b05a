"""What waits for one client is bounded, and the slow are found out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.broadcaster.frames import DEFLATED, EVENTS, PLAIN, Frame, frame_of
from services.broadcaster.outbox import Bounds, Outbox
from shared.protocol import Refusal
from tests.support.played_wire import WHOLE, PlayedWire

BOUNDS = Bounds(high_water_bytes=1_000, high_water_frames=4, replies=3, stall_s=30.0)


def frame(size_bytes: int = 120) -> Frame:
    empty = frame_of(Refusal(code="bad_request", message="")).size_bytes
    overhead = empty if size_bytes < 128 else empty + 2  # RFC 6455: two more bytes for the length
    made = frame_of(Refusal(code="bad_request", message="x" * (size_bytes - overhead)))
    assert size_bytes == made.size_bytes
    return made


def blocked() -> tuple[Outbox, PlayedWire]:
    wire = PlayedWire(BOUNDS)
    return wire.outbox, wire


def flowing() -> tuple[Outbox, list[Frame]]:
    written: list[Any] = []
    return Outbox(BOUNDS, written.append, WHOLE), written


def test_a_wire_that_takes_frames_gets_them_at_once() -> None:
    box, written = flowing()
    frames = (frame(), frame(), frame())
    assert box.offer(frames[:1])
    box.push(frames[1:2])
    box.reply(frames[2])
    assert (list(frames), 0, True) == (written, len(box), box.is_empty)


def test_a_wire_gets_the_bytes_of_its_form() -> None:
    one = frame_of(Refusal(code="bad_request", message="x" * 1_000))
    taken: list[bytes] = []
    for form in (PLAIN, DEFLATED, EVENTS):
        Outbox(BOUNDS, taken.append, form).push((one,))
    assert [one.plain, one.deflated, one.events] == taken


def test_frames_leave_in_the_order_they_came() -> None:
    box, wire = blocked()
    frames = (frame(), frame(), frame())
    assert box.offer(frames[:1])
    box.push(frames[1:2])
    box.reply(frames[2])
    assert [*frames] == wire.take()


def test_what_a_wire_blocks_on_half_way_is_kept_and_sent_in_order() -> None:
    written: list[Any] = []

    def write(one: Any) -> None:  # noqa: ANN401  (see WHOLE)
        written.append(one)
        box.block()

    box = Outbox(BOUNDS, write, WHOLE)
    first, second, third = frame(), frame(), frame()
    assert box.offer((first, second))
    box.push((third,))
    assert ([first], 2) == (written, len(box))
    box.flow()
    box.flow()
    assert [first, second, third] == written


def test_above_the_high_water_mark_in_bytes_nothing_is_taken() -> None:
    box, _ = blocked()
    assert [True, True, False] == [box.offer((frame(600),)) for _ in range(3)]
    assert 1_200 == box.queued_bytes


def test_above_the_high_water_mark_in_frames_nothing_is_taken() -> None:
    box, _ = blocked()
    assert [True] * 4 + [False] == [box.offer((frame(),)) for _ in range(5)]


def test_several_frames_at_once_are_not_kept_for_a_client_that_takes_none() -> None:
    box, wire = blocked()
    assert not box.offer((frame(), frame()))
    assert [] == wire.take()


def test_there_is_room_again_when_frames_were_taken() -> None:
    box, wire = blocked()
    while box.offer((frame(600),)):
        pass
    wire.take(1)
    assert box.offer((frame(),))


def test_a_debt_of_who_has_everything_is_paid_at_once() -> None:
    box, written = flowing()
    owed = frame()
    box.owe("topic", lambda: box.push((owed,)))
    assert [owed] == written


def test_a_debt_is_paid_when_the_queue_has_emptied() -> None:
    box, wire = blocked()
    first, owed = frame(), frame()
    box.push((first,))
    box.owe("topic", lambda: box.push((owed,)))
    assert [first, owed] == wire.take()


def test_debts_are_paid_one_after_the_other() -> None:
    box, wire = blocked()
    owed = (frame(), frame())
    for debtor, payment in zip("ab", owed, strict=True):
        box.owe(debtor, lambda payment=payment: box.push((payment,)))  # type: ignore[misc]  # a lambda with a default
    assert [owed[0]] == wire.take(1)
    assert 0 == len(box)
    assert [owed[1]] == wire.take(1)


def test_a_debt_that_cannot_be_paid_now_does_not_hold_up_the_next() -> None:
    box, wire = blocked()
    owed = frame()
    box.owe("unreadable", lambda: None)
    box.owe("topic", lambda: box.push((owed,)))
    assert [owed] == wire.take()


def test_a_forgiven_debt_is_not_paid() -> None:
    box, wire = blocked()
    box.owe("topic", lambda: box.push((frame(),)))
    box.forgive("topic")
    assert [] == wire.take()


def test_a_client_that_takes_nothing_for_too_long_is_too_slow() -> None:
    box, wire = blocked()
    box.push((frame(), frame()))
    wire.take(1)
    assert [False, False, True] == [box.is_too_slow(now) for now in (0.0, 30.0, 30.1)]


def test_a_client_is_given_its_time_from_the_first_look_on() -> None:
    box, _ = blocked()
    box.push((frame(),))
    assert [False, False, True] == [box.is_too_slow(now) for now in (4000.0, 4030.0, 4030.1)]


def test_a_client_that_takes_something_now_and_then_is_kept() -> None:
    box, wire = blocked()
    box.push((frame(),) * 4)
    verdicts = []
    for now in (0.0, 29.0, 58.0, 87.0):
        verdicts.append(box.is_too_slow(now))
        wire.take(1)
    assert [False] * 4 == verdicts


def test_a_client_that_has_taken_everything_is_kept() -> None:
    box, _ = flowing()
    box.push((frame(),))
    assert [False, False] == [box.is_too_slow(now) for now in (0.0, 1000.0)]


def test_a_client_that_does_not_take_its_last_frame_is_too_slow() -> None:
    box, _ = flowing()
    box.push((frame(),))
    box.block()  # it is on its way
    assert [False, True] == [box.is_too_slow(now) for now in (0.0, 31.0)]


def test_a_client_that_asks_and_never_reads_the_answers_is_too_slow() -> None:
    box, _ = blocked()
    for _ in range(4):
        box.reply(frame())
    assert box.is_too_slow(0.0)


def test_answers_that_were_read_do_not_count() -> None:
    box, wire = blocked()
    for _ in range(4):
        box.reply(frame())
        wire.take()
    assert not box.is_too_slow(0.0)


@given(st.lists(st.sampled_from(["offer", "owe", "take"]), max_size=200))
def test_no_more_waits_than_the_mark_and_one_payment(acts: list[str]) -> None:
    box, wire = blocked()
    payment = (frame(700), frame(700))
    for act in acts:
        if act == "offer":
            box.offer((frame(300),))
        elif act == "owe":
            box.owe("topic", lambda: box.push(payment))
        else:
            wire.take(1)
        assert box.queued_bytes <= 1_000 + 1_400
