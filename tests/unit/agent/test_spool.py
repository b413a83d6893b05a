"""What is on disk survives a crash at any byte, stays within bounds, and comes back in order."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster_agent import segment_file, spool
from muster_agent.buffer import Sample
from muster_agent.spool import Spool

ROOM = 1000


def samples(first: int, last: int, boot_id: str = "boot-1") -> list[Sample]:
    return [Sample(boot_id, seq, b'{"seq":%d}' % seq) for seq in range(first, last + 1)]


def everything(kept: Spool) -> list[tuple[str, int]]:
    """Take all there is, as a server that answers does."""
    taken = []
    while batch := kept.oldest(3, 1000):
        taken += [sample.identity for sample in batch]
        kept.discard(batch)
    return taken


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.samples"))


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three samples of the tests are a segment."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 90)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, ROOM)) as opened:
        yield opened


def test_samples_come_back_in_the_order_in_which_they_were_kept(kept: Spool) -> None:
    for sample in samples(1, 10):
        kept.append([sample], 0.0)
    assert 10 == len(kept)
    assert [("boot-1", seq) for seq in range(1, 11)] == everything(kept)
    assert (0, 0) == (len(kept), kept.size_bytes)


def test_they_stay_until_they_are_discarded(kept: Spool) -> None:
    kept.append(samples(1, 2), 0.0)
    assert samples(1, 2) == kept.oldest(10, 1000) == kept.oldest(10, 1000)
    assert samples(1, 1) == kept.oldest(1, 1000)
    assert samples(1, 1) == kept.oldest(10, 1)


def test_what_is_all_answered_for_leaves_no_file(kept: Spool, tmp_path: Path) -> None:
    kept.append(samples(1, 10), 0.0)
    everything(kept)
    assert [] == names(tmp_path)
    kept.append(samples(11, 11), 0.0)
    assert samples(11, 11) == kept.oldest(10, 1000)


def test_one_in_the_middle_that_is_answered_for_is_passed_over(kept: Spool) -> None:
    kept.append(samples(1, 3), 0.0)
    kept.discard(samples(2, 2))
    assert [("boot-1", 1), ("boot-1", 3)] == everything(kept)


def test_the_next_start_finds_what_the_last_one_left_and_goes_on_behind_it(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, ROOM)) as first:
        first.append(samples(1, 7), 0.0)
        first.discard(samples(1, 2))
    with closing(Spool(tmp_path, ROOM)) as second:
        second.append(samples(1, 2, "boot-2"), 0.0)
        assert 7 == len(second)
        expected = [("boot-1", seq) for seq in range(3, 8)] + [("boot-2", 1), ("boot-2", 2)]
        assert expected == everything(second)


def test_a_second_agent_may_not_use_the_same_directory(kept: Spool, tmp_path: Path) -> None:
    assert 0 == len(kept)
    with pytest.raises(BlockingIOError, match="another agent uses it"):
        Spool(tmp_path, ROOM)


def test_only_its_owner_can_read_what_is_kept(kept: Spool, tmp_path: Path) -> None:
    kept.append(samples(1, 1), 0.0)
    assert [0] == [path.stat().st_mode & 0o077 for path in tmp_path.glob("*.samples")]


def test_a_damaged_line_costs_itself_alone(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, ROOM)) as first:
        first.append(samples(1, 3), 0.0)
    file = next(tmp_path.glob("*.samples"))
    file.write_bytes(file.read_bytes().replace(b'{"seq":2}', b'{"seq":9}'))
    with closing(Spool(tmp_path, ROOM)) as second:
        assert [("boot-1", 1), ("boot-1", 3)] == everything(second)


def test_a_segment_that_cannot_be_read_is_given_up(
    kept: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept.append(samples(1, 4), 0.0)
    kept.append(samples(5, 5), 0.0)
    (tmp_path / names(tmp_path)[0]).unlink()
    assert [("boot-1", 5)] == everything(kept)
    assert "which is given up" in caplog.text


def test_what_does_not_fit_on_the_disk_is_kept_as_a_whole_or_not_at_all(
    kept: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.append(samples(1, 2), 0.0)

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segment_file, "_write", half)
        with pytest.raises(OSError, match="No space left"):
            kept.append(samples(3, 4), 0.0)
    kept.append(samples(3, 4), 0.0)
    assert [("boot-1", seq) for seq in range(1, 5)] == everything(kept)


def test_a_full_disk_does_not_fill_up_with_empty_segments(
    kept: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segment_file, "_write", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                kept.append(samples(1, 1), 0.0)
    assert [] == names(tmp_path)
    assert [] == kept.oldest(10, 1000)
    kept.append(samples(1, 2), 0.0)
    assert [("boot-1", 1), ("boot-1", 2)] == everything(kept)


def test_a_segment_that_cannot_be_read_at_the_start_is_left_out_and_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Spool(tmp_path, ROOM)) as first:
        for seq in range(1, 8):
            first.append(samples(seq, seq), 0.0)
    before = names(tmp_path)
    broken, read_bytes = before[-1], Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == broken:
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read)
        with closing(Spool(tmp_path, ROOM)) as second:
            second.append(samples(1, 1, "boot-2"), 0.0)
            assert [("boot-1", 1), ("boot-2", 1)] == [everything_of(second)[0], everything_of(second)[-1]]
    assert f"cannot read {tmp_path / broken}, whose samples are left out: Input/output error" in caplog.messages
    assert broken in names(tmp_path)
    with closing(Spool(tmp_path, ROOM)) as third:
        assert ("boot-1", 7) in everything(third)


def everything_of(kept: Spool) -> list[tuple[str, int]]:
    """Look at what there is, a segment's worth at a time, and leave it on the disk."""
    return [stored.sample.identity for each in kept._segments for stored in each.read()]


def test_a_spool_that_cannot_be_opened_does_not_keep_others_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_directory: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(segment_file, "find", fail)
        with pytest.raises(OSError, match="Input/output error"):
            Spool(tmp_path, ROOM)
    Spool(tmp_path, ROOM).close()


def test_where_files_can_be_text_segments_are_not(kept: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    binary, opened = 1 << 30, os.open

    def open_(path: Path, flags: int, mode: int = 0o777) -> int:
        given.append(flags)
        return opened(path, flags & ~binary, mode)

    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", open_)
    kept.append(samples(1, 1), 0.0)
    assert [binary] == [flags & binary for flags in given]


def test_every_second_sample_of_the_older_half_goes_when_there_are_too_many(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 16)) as full:
        for sample in samples(1, 17):
            full.append([sample], 0.0)
        assert 4 == full.thinned
        assert [1, 3, 5, 7, *range(9, 18)] == [seq for _, seq in everything(full)]


def test_bytes_are_a_bound_as_well(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, ROOM, capacity_bytes=400)) as full:
        for sample in samples(1, 200):
            full.append([sample], 0.0)
            assert full.size_bytes <= 400
        taken = [seq for _, seq in everything(full)]
        assert (1, 200) == (taken[0], taken[-1])


def test_a_smaller_bound_holds_at_once(kept: Spool) -> None:
    kept.append(samples(1, 40), 0.0)
    kept.resize(10)
    assert len(kept) <= 10


def test_where_there_is_no_room_to_thin_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Spool(tmp_path, 8)) as full:
        full.append(samples(1, 8), 0.0)
        monkeypatch.setattr(Path, "replace", fails)
        full.append(samples(9, 9), 0.0)
        assert len(full) <= 8
        full.append(samples(10, 10), 0.0)
        assert ("boot-1", 10) in everything(full)


def fails(_path: Path, _target: Path) -> Path:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_disk_is_made_to_keep_it_once_a_minute_at_most(kept: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 10_000)
    monkeypatch.setattr(os, "fsync", synced.append)
    for second in range(180):
        kept.append(samples(second + 1, second + 1), float(second))
    assert 2 == len(synced)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_crash_at_any_byte_leaves_all_that_was_written_before(data: st.DataObject) -> None:
    """The last write is torn at any byte, the acknowledgements of the last moment are lost or not."""
    directory = Path(tempfile.mkdtemp())
    try:
        batches = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
        answered = data.draw(st.integers(0, sum(batches)))
        seq = 0
        with closing(Spool(directory, ROOM)) as first:
            for size in batches:
                first.append(samples(seq + 1, seq + size), 0.0)
                seq += size
            before = snapshot(directory)
            first.discard(samples(1, answered))
        if data.draw(st.booleans()):
            restore(directory, before)
        files = sorted(directory.glob("*.samples"))
        if files:
            content = files[-1].read_bytes()
            files[-1].write_bytes(content[: data.draw(st.integers(0, len(content)))])
        whole = whole_lines(directory)
        with closing(Spool(directory, ROOM)) as second:
            second.append(samples(1, 1, "boot-2"), 0.0)
            taken = everything(second)
        numbers = [number for boot_id, number in taken if boot_id == "boot-1"]
        assert sorted(set(numbers)) == numbers
        assert ("boot-2", 1) == taken[-1]
        assert whole <= set(numbers) | set(range(1, answered + 1))
        assert set(numbers) <= set(range(1, seq + 1))
    finally:
        shutil.rmtree(directory)


def snapshot(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.samples")}


def restore(directory: Path, before: dict[str, bytes]) -> None:
    for path in directory.glob("*.samples"):
        path.unlink()
    for name, content in before.items():
        (directory / name).write_bytes(content)


def whole_lines(directory: Path) -> set[int]:
    lines = [line for path in directory.glob("*.samples") for line in path.read_bytes().split(b"\n")[:-1]]
    return {int(line.split(b" ")[2]) for line in lines}


@settings(max_examples=40, deadline=None)
@given(
    capacity=st.integers(4, 30),
    steps=st.lists(st.tuples(st.sampled_from(["keep", "answer", "restart"]), st.integers(1, 8)), max_size=40),
)
def test_bounds_and_order_hold_whatever_happens(capacity: int, steps: list[tuple[str, int]]) -> None:
    directory = Path(tempfile.mkdtemp())
    kept = Spool(directory, capacity)
    seq, start = 0, 1
    answered: set[tuple[str, int]] = set()
    try:
        for step, count in steps:
            if step == "keep":
                kept.append(samples(seq + 1, seq + count, f"boot-{start:03d}"), 0.0)
                seq += count
            elif step == "answer":
                batch = kept.oldest(count, 1000)
                assert not {sample.identity for sample in batch} & answered
                answered |= {sample.identity for sample in batch}
                kept.discard(batch)
            else:
                kept.close()
                kept = Spool(directory, capacity)
                seq, start = 0, start + 1
            assert len(kept) <= capacity
        taken = everything(kept)
        assert sorted(set(taken)) == taken
        assert not set(taken) & answered
    finally:
        kept.close()
        shutil.rmtree(directory)


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 40), st.data())
def test_a_crash_while_thinning_loses_nothing_but_detail(count: int, data: st.DataObject) -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        with closing(Spool(directory, ROOM)) as first:
            for sample in samples(1, count):
                first.append([sample], 0.0)
            before = snapshot(directory)
            first.resize(count - 1)
        # Of the files that thinning took away, some are still there.
        for name in data.draw(st.lists(st.sampled_from(sorted(before)), unique=True)):
            if not (directory / name).exists():
                (directory / name).write_bytes(before[name])
        with closing(Spool(directory, ROOM)) as second:
            numbers = [seq for _, seq in everything(second)]
        assert sorted(set(numbers)) == numbers
        assert {1, *range(count // 2 + 2, count + 1)} <= set(numbers)
    finally:
        shutil.rmtree(directory)
