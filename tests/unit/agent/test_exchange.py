"""How the two threads hand things to each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from muster_agent.backlog import Backlog
from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.exchange import Exchange, capacity

DEADLINE_S = 10.0
FOREVER_S = 3600.0


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(Backlog(None, SampleBuffer(capacity=4)), interval_s=5.0)


def sample(seq: int) -> Sample:
    return Sample("boot-1", seq, b"{}")


class Waiting:
    """Something that waits, in a thread, until it has returned."""

    def __init__(self, wait: Callable[[], object]) -> None:
        self.answers: list[object] = []
        self._thread = threading.Thread(target=lambda: self.answers.append(wait()), daemon=True)
        self._thread.start()

    def answer(self) -> object:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "still waiting"
        return self.answers[0]


def test_a_sample_handed_over_is_there_until_it_is_settled(exchange: Exchange) -> None:
    exchange.add(sample(1))
    assert exchange.has_fresh()
    assert [sample(1)] == exchange.take_fresh(10, 1000)
    assert (False, 1) == (exchange.has_fresh(), exchange.waiting())
    exchange.settle([sample(1)])
    assert 0 == exchange.waiting()


def test_what_was_sent_when_the_server_went_is_late(exchange: Exchange) -> None:
    exchange.add(sample(1))
    exchange.take_fresh(10, 1000)
    exchange.lost()
    assert (False, True) == (exchange.has_fresh(), exchange.has_late())
    assert [sample(1)] == exchange.late(10, 1000)


def test_what_is_left_in_the_end_touches_the_disk_no_more(exchange: Exchange) -> None:
    exchange.add(sample(1))
    assert 1 == exchange.store(DEADLINE_S)


def test_a_listener_hears_of_samples_and_of_the_stop(exchange: Exchange) -> None:
    heard: list[str] = []
    exchange.notify(lambda: heard.append("changed"))
    exchange.add(sample(1))
    exchange.stop()
    exchange.notify(None)
    exchange.add(sample(2))
    assert ["changed", "changed"] == heard


def test_a_day_is_kept_at_any_interval() -> None:
    assert [17_280, 86_400, 1] == [capacity(86_400.0, 5.0), capacity(86_400.0, 1.0), capacity(1.0, 3600.0)]


def test_handing_over_tells_how_many_were_thinned(exchange: Exchange) -> None:
    exchange.lost()
    # Beside the four in memory there is the newest, which is still live.
    assert [0, 0, 0, 0, 0, 1] == [exchange.add(sample(seq)) for seq in range(1, 7)]


def test_a_sample_ends_the_wait_for_fresh(exchange: Exchange) -> None:
    waiting = Waiting(lambda: exchange.wait_for_fresh(FOREVER_S))
    exchange.add(sample(1))
    waiting.answer()


def test_the_wait_for_samples_ends_by_itself_after_its_time(exchange: Exchange) -> None:
    exchange.wait_for_fresh(0.001)
    assert 0 == exchange.waiting()


def test_a_sample_does_not_end_a_pause(exchange: Exchange) -> None:
    exchange.add(sample(1))
    began_s = time.monotonic()
    exchange.pause(0.02)
    assert time.monotonic() - began_s >= 0.02


def test_stopping_ends_every_wait(exchange: Exchange) -> None:
    pause = Waiting(lambda: exchange.pause(FOREVER_S))
    samples = Waiting(lambda: exchange.wait_for_fresh(FOREVER_S))
    instant = Waiting(lambda: exchange.wait_until(time.monotonic() + FOREVER_S, 5.0))
    exchange.stop()
    pause.answer()
    samples.answer()
    assert False is instant.answer()
    assert exchange.stopping


def test_an_instant_that_is_reached_is_told_from_an_interruption(exchange: Exchange) -> None:
    assert exchange.wait_until(time.monotonic() + 0.001, 5.0)
    assert exchange.wait_until(time.monotonic() - 10.0, 5.0)


def test_another_interval_interrupts_the_wait_for_an_instant(exchange: Exchange) -> None:
    waiting = Waiting(lambda: exchange.wait_until(time.monotonic() + FOREVER_S, 5.0))
    assert exchange.change_interval(1.0)
    assert False is waiting.answer()
    assert 1.0 == exchange.interval_s


def test_the_same_interval_changes_nothing(exchange: Exchange) -> None:
    assert not exchange.change_interval(5.0)
