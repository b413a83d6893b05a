"""How the two threads hand things to each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.exchange import Exchange

DEADLINE_S = 10.0
FOREVER_S = 3600.0


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(SampleBuffer(capacity=4), interval_s=5.0)


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


def test_a_sample_handed_over_is_there_until_it_is_discarded(exchange: Exchange) -> None:
    exchange.add(Sample(1, b"{}"))
    assert [Sample(1, b"{}")] == list(exchange.oldest(10))
    assert 1 == exchange.waiting()
    exchange.discard_through(1)
    assert 0 == exchange.waiting()


def test_handing_over_tells_how_many_were_thinned(exchange: Exchange) -> None:
    assert [0, 0, 0, 0, 1] == [exchange.add(Sample(seq, b"{}")) for seq in range(1, 6)]


def test_a_sample_ends_the_wait_for_samples(exchange: Exchange) -> None:
    waiting = Waiting(lambda: exchange.wait_for_samples(FOREVER_S))
    exchange.add(Sample(1, b"{}"))
    waiting.answer()


def test_the_wait_for_samples_ends_by_itself_after_its_time(exchange: Exchange) -> None:
    exchange.wait_for_samples(0.001)
    assert 0 == exchange.waiting()


def test_a_sample_does_not_end_a_pause(exchange: Exchange) -> None:
    exchange.add(Sample(1, b"{}"))
    began_s = time.monotonic()
    exchange.pause(0.02)
    assert time.monotonic() - began_s >= 0.02


def test_stopping_ends_every_wait(exchange: Exchange) -> None:
    pause = Waiting(lambda: exchange.pause(FOREVER_S))
    samples = Waiting(lambda: exchange.wait_for_samples(FOREVER_S))
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
