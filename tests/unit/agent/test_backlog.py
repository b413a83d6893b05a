"""Which samples are live, which were missed, and when they touch the disk."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster_agent.backlog import Backlog
from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.spool import Spool

MANY = 1_000_000


def sample(seq: int, boot_id: str = "boot-1") -> Sample:
    return Sample(boot_id, seq, b'{"seq":%d}' % seq)


def numbers(samples: Sequence[Sample]) -> list[int]:
    return [each.seq for each in samples]


class FullDisk(Spool):
    """Takes nothing while it `is_full`."""

    is_full = True

    def append(self, samples: Sequence[Sample], now_s: float) -> None:
        """Fail, or keep."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(samples, now_s)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "spool", 1000)) as opened:
        yield opened


@pytest.fixture
def backlog(spool: Spool) -> Backlog:
    return Backlog(spool, SampleBuffer())


def test_what_is_acknowledged_at_once_never_touches_the_disk(backlog: Backlog, spool: Spool) -> None:
    for seq in range(1, 20):
        backlog.add(sample(seq), float(5 * seq))
        backlog.settle(backlog.take_fresh(10, MANY))
        assert 0 == len(spool)
    assert 0 == len(backlog)


def test_what_is_not_answered_for_within_seconds_is_written_and_still_live(backlog: Backlog, spool: Spool) -> None:
    backlog.add(sample(1), 0.0)
    taken = backlog.take_fresh(10, MANY)
    backlog.add(sample(2), 3.0)
    assert [1] == numbers(spool.oldest(10, MANY))
    assert (False, 2) == (backlog.has_late(), len(backlog))
    backlog.settle(taken)
    assert (0, 1) == (len(spool), len(backlog))


def test_while_the_server_is_away_every_sample_is_written_at_once(backlog: Backlog, spool: Spool) -> None:
    backlog.lost(0.0)
    for seq in (1, 2, 3):
        backlog.add(sample(seq), float(seq))
        assert seq == len(spool)


def test_of_an_outage_the_newest_is_live_and_the_others_follow_oldest_first(backlog: Backlog) -> None:
    backlog.add(sample(1), 0.0)
    backlog.take_fresh(10, MANY)
    backlog.add(sample(2), 1.0)
    backlog.lost(1.5)
    backlog.add(sample(3), 2.0)
    backlog.connected()
    assert [3] == numbers(backlog.take_fresh(10, MANY))
    assert [1, 2] == numbers(backlog.late(10, MANY))


def test_nothing_late_goes_past_a_sample_that_may_still_be_answered_for(backlog: Backlog) -> None:
    for seq in (1, 2):
        backlog.add(sample(seq), 0.0)
    first = backlog.take_fresh(1, MANY)
    second = backlog.take_fresh(1, MANY)
    backlog.miss(second, 0.0)
    assert [] == backlog.late(10, MANY)
    backlog.settle(first)
    assert [2] == numbers(backlog.late(10, MANY))


def test_starts_follow_each_other_and_share_no_batch(backlog: Backlog, spool: Spool) -> None:
    spool.append([sample(1, "boot-0"), sample(2, "boot-0")], 0.0)
    backlog.lost(0.0)
    backlog.add(sample(1), 0.0)
    backlog.add(sample(2), 1.0)
    first = backlog.late(10, MANY)
    backlog.settle(first)
    assert [("boot-0", 1), ("boot-0", 2)] == [each.identity for each in first]
    assert [("boot-1", 1)] == [each.identity for each in backlog.late(10, MANY)]


def test_the_end_of_the_agent_leaves_everything_on_disk(backlog: Backlog, spool: Spool) -> None:
    for seq in (1, 2, 3):
        backlog.add(sample(seq), 0.0)
    backlog.take_fresh(2, MANY)
    backlog.store(0.0)
    assert [1, 2, 3] == numbers(spool.oldest(10, MANY))


def test_a_full_disk_leaves_samples_in_memory_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(FullDisk(tmp_path, 1000)) as disk:
        backlog = Backlog(disk, SampleBuffer())
        backlog.lost(0.0)
        for seq in range(1, 200):
            backlog.add(sample(seq), float(seq))
        assert (0, 199) == (len(disk), len(backlog))
        assert [1, 2, 3] == numbers(backlog.late(3, MANY))
        assert ["samples cannot be kept on disk (No space left on device), only in memory for now"] == caplog.messages


def test_a_disk_with_room_again_takes_what_was_in_memory_in_order(tmp_path: Path) -> None:
    with closing(FullDisk(tmp_path, 1000)) as disk:
        backlog = Backlog(disk, SampleBuffer())
        backlog.lost(0.0)
        for seq in range(1, 4):
            backlog.add(sample(seq), float(seq))
        disk.is_full = False
        backlog.add(sample(4), 30.0)
        assert 0 == len(disk)
        backlog.add(sample(5), 62.0)
        assert [1, 2, 3, 4, 5] == numbers(disk.oldest(10, MANY))


def test_without_a_disk_memory_has_to_do(tmp_path: Path) -> None:
    backlog = Backlog(None, SampleBuffer())
    backlog.lost(0.0)
    for seq in range(1, 4):
        backlog.add(sample(seq), 0.0)
    backlog.connected()
    backlog.settle(backlog.take_fresh(10, MANY))
    backlog.settle(backlog.late(1, MANY))
    assert [2] == numbers(backlog.late(10, MANY))
    backlog.store(0.0)
    assert [] == list(tmp_path.iterdir())


def test_bounds_hold_for_a_disk_that_was_empty_when_they_changed(backlog: Backlog) -> None:
    backlog.resize(8)
    backlog.lost(0.0)
    for seq in range(1, 50):
        backlog.add(sample(seq), 0.0)
    assert len(backlog) <= 8
    assert backlog.thinned > 0


STEPS = st.sampled_from(["add", "add", "fresh", "late", "answer", "refuse", "lose", "connect", "crash", "fill"])


class Server:
    """Takes samples by the rules of "Samples that come late"."""

    def __init__(self) -> None:
        self.held: set[tuple[str, int]] = set()
        self._newest: dict[str, int] = {}
        self._newest_late: dict[str, int] = {}

    def take(self, samples: Sequence[Sample], boot_id: str) -> None:
        for each in samples:
            is_late = each.boot_id != boot_id or each.seq < self._newest.get(each.boot_id, 0)
            if is_late and each.seq <= self._newest_late.get(each.boot_id, 0):
                continue
            (self._newest_late if is_late else self._newest)[each.boot_id] = each.seq
            self.held.add(each.identity)


class World:
    """An agent's backlog, its server, and what happens between them; `taken` has all samples there ever were."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.disk = self._open()
        self.backlog = Backlog(self.disk, SampleBuffer())
        self.server = Server()
        self.taken: set[tuple[str, int]] = set()
        self._under_way: list[list[Sample]] = []
        self._start, self._seq, self._now_s = 1, 0, 0.0
        self._is_connected = True

    def do(self, step: str) -> None:
        self._now_s += 20.0
        getattr(self, step)()

    def add(self) -> None:
        self._seq += 1
        new = sample(self._seq, f"boot-{self._start}")
        self.backlog.add(new, self._now_s)
        self.taken.add(new.identity)

    def fresh(self) -> None:
        if self._is_connected:
            self._send(self.backlog.take_fresh(2, MANY))

    def late(self) -> None:
        if self._is_connected and not self._under_way:
            self._send(self.backlog.late(3, MANY))

    def answer(self, *, is_heard: bool = True) -> None:
        if self._under_way:
            batch = self._under_way.pop(0)
            self.server.take(batch, f"boot-{self._start}")
            if is_heard:
                self.backlog.settle(batch)

    def refuse(self) -> None:
        if self._under_way:
            self.backlog.miss(self._under_way.pop(0), self._now_s)

    def lose(self) -> None:
        # The server may have taken what it could not answer for any more.
        for _ in range(len(self._under_way) // 2):
            self.answer(is_heard=False)
        self._under_way.clear()
        self.backlog.lost(self._now_s)
        self._is_connected = False

    def connect(self) -> None:
        self.backlog.connected()
        self._is_connected = True

    def fill(self) -> None:
        self.disk.is_full = not self.disk.is_full

    def crash(self) -> None:
        """End without a word, in an outage, right after a sample was kept."""
        if self._is_connected or self.disk.is_full:
            return
        self._now_s += 100.0
        self.add()
        self.disk.close()
        self.disk = self._open()
        self.backlog = Backlog(self.disk, SampleBuffer())
        self._seq, self._start, self._is_connected = 0, self._start + 1, True

    def end_well(self) -> None:
        while self._under_way:
            self.answer()
        self.backlog.connected()
        while batch := self.backlog.take_fresh(2, MANY) or self.backlog.late(3, MANY):
            self._send(batch)
            self.answer()

    def _send(self, batch: list[Sample]) -> None:
        if batch:
            self._under_way.append(batch)

    def _open(self) -> FullDisk:
        disk = FullDisk(self._directory, 10_000)
        disk.is_full = False
        return disk


@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_every_sample_reaches_a_server_that_tells_repetitions(steps: list[str]) -> None:
    """Answers may be lost, messages refused, the process killed, and the disk full, as long as both never meet."""
    directory = Path(tempfile.mkdtemp())
    world = World(directory)
    try:
        for step in steps:
            world.do(step)
        world.end_well()
        assert world.taken == world.server.held
        assert 0 == len(world.backlog)
    finally:
        world.disk.close()
        shutil.rmtree(directory)
