"""Keeps samples on disk until they are acknowledged: a queue of segment files, bounded, that survives any crash.

Samples are appended to the newest segment and taken from the oldest. What a crash loses of their acknowledgements is
sent once more, and dropped by the server as a repetition. A segment that was begun before this start is never written
to again, so that a torn last line stays the last.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from muster_agent import segment_file
from muster_agent.buffer import SMALLEST_HALF, Sample
from muster_agent.segment import Stored
from muster_agent.segment_file import SegmentFile, SegmentWriter

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

LOCK = "lock"

CAPACITY_BYTES = 50 * 1000 * 1000
# What is read into memory at once, and written anew at once.
SEGMENT_BYTES = 256 * 1024
# Of a machine that loses its power this much may be lost; no disk is made to write more often for that.
SYNC_EVERY_S = 60.0
# Two halves fit into one segment again.
SEGMENTS_MERGED = 2


class Spool:
    """Samples in the order of their starts and numbers, at most `capacity` of them and `capacity_bytes` bytes.

    When it is full, every second sample of the older half goes; `thinned` counts them. Built from a directory, with
    what an earlier start has left there: raises OSError when that cannot be read.
    """

    def __init__(self, directory: Path, capacity: int, capacity_bytes: int = CAPACITY_BYTES) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._capacity = max(capacity, 2 * SMALLEST_HALF)
        self._capacity_bytes = capacity_bytes
        self._lock = _lock(directory)
        try:
            self._segments, self._next_number = segment_file.find(directory)
        except OSError:
            self._unlock()
            raise
        self._writer: SegmentWriter | None = None
        # The oldest segment's samples, read when they are asked for.
        self._head: deque[Stored] | None = None
        self._acknowledged: set[tuple[str, int]] = set()
        self._synced_s: float | None = None
        self.thinned = 0
        self._keep_bounds()

    def __len__(self) -> int:
        return sum(each.count for each in self._segments)

    @property
    def size_bytes(self) -> int:
        """The length of all that is kept."""
        return sum(each.size_bytes for each in self._segments)

    def append(self, samples: Sequence[Sample], now_s: float) -> None:
        """Keep samples that come after all the others. Raises OSError, and then has kept none of them."""
        writer = self._open_writer()
        try:
            stored = writer.append(samples)
        except OSError:
            self._close_writer()
            if not writer.end:
                # A full disk must not fill up with empty segments.
                self._segments.pop().remove()
            raise
        if self._head is not None and writer.file is self._segments[0]:
            self._head.extend(stored)
        if self._synced_s is None:
            self._synced_s = now_s
        elif now_s - self._synced_s >= SYNC_EVERY_S:
            self.sync()
            self._synced_s = now_s
        self._keep_bounds()

    def oldest(self, limit: int, limit_bytes: int) -> list[Sample]:
        """Give some of the oldest samples, one at least if there is any; they stay until `discard`."""
        while self._segments:
            batch = self._some_of(self._read_head(), limit, limit_bytes)
            if batch:
                return batch
            self._drop_head()
        return []

    def discard(self, samples: Sequence[Sample]) -> None:
        """Forget samples that the server has answered for; of those in the middle of others, once these went."""
        self._acknowledged.update(sample.identity for sample in samples)
        while self._segments:
            head = self._read_head()
            last, count = None, 0
            while head and head[0].sample.identity in self._acknowledged:
                last, count = head.popleft(), count + 1
                self._acknowledged.discard(last.sample.identity)
            if head:
                if last is not None:
                    self._segments[0].acknowledge(last, count)
                return
            self._drop_head()
        self._acknowledged.clear()

    def sync(self) -> None:
        """Have all that was appended on the disk itself. Raises OSError."""
        if self._writer:
            self._writer.sync()

    def resize(self, capacity: int) -> None:
        """Keep at most `capacity` samples from now on."""
        self._capacity = max(capacity, 2 * SMALLEST_HALF)
        self._keep_bounds()

    def close(self) -> None:
        """Leave the directory to others; nothing can be done with it any more."""
        self._close_writer()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _some_of(self, head: deque[Stored], limit: int, limit_bytes: int) -> list[Sample]:
        batch: list[Sample] = []
        size_bytes = 0
        for stored in head:
            size_bytes += len(stored.sample.encoded)
            if len(batch) >= limit or (batch and size_bytes > limit_bytes):
                break
            if stored.sample.identity not in self._acknowledged:
                batch.append(stored.sample)
        return batch

    def _read_head(self) -> deque[Stored]:
        if self._head is None:
            try:
                self._head = deque(self._segments[0].read())
            except OSError as error:
                log.warning("cannot read %s, which is given up: %s", self._segments[0].path, error)
                self._head = deque()
        return self._head

    def _drop_head(self) -> None:
        head = self._segments.pop(0)
        if self._writer and self._writer.file is head:
            self._close_writer()
        head.remove()
        self._head = None

    def _open_writer(self) -> SegmentWriter:
        if self._writer and self._writer.end < SEGMENT_BYTES:
            return self._writer
        if self._writer:
            self.sync()
            self._close_writer()
        self._writer = SegmentWriter(self._directory, self._next_number)
        self._next_number += 1
        self._segments.append(self._writer.file)
        return self._writer

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer:
            writer.close()

    def _keep_bounds(self) -> None:
        while len(self) > self._capacity or (self.size_bytes > self._capacity_bytes and len(self) > 1):
            before = len(self)
            half = before // 2
            if half >= SMALLEST_HALF:
                self._thin(half)
            else:
                self._drop_oldest()
            self.thinned += before - len(self)

    def _drop_oldest(self) -> None:
        head = self._read_head()
        if not head:
            self._drop_head()
            return
        self.discard([head[0].sample])

    def _thin(self, half: int) -> None:
        """Drop every second of the `half` oldest samples. The very oldest stays: it says when the outage began."""
        self._close_writer()
        self._head = None
        position, thinned = 0, []
        while position < half and self._segments:
            group = self._group(half - position)
            samples = [stored.sample for each in group for stored in self._read(each)]
            older, newer = samples[: half - position], samples[half - position :]
            position += max(1, len(older))
            merged = self._write_thinned(group, older[::2] + newer)
            thinned += [merged] if merged else []
        self._segments = thinned + self._segments

    def _group(self, count: int) -> list[SegmentFile]:
        """Take the oldest segments that are to be written as one from the list."""
        group = [self._segments.pop(0)]
        while len(group) < SEGMENTS_MERGED and self._segments and sum(each.count for each in group) < count:
            group.append(self._segments.pop(0))
        return group

    def _read(self, file: SegmentFile) -> list[Stored]:
        with contextlib.suppress(OSError):
            return [each for each in file.read() if each.sample.identity not in self._acknowledged]
        return []

    def _write_thinned(self, group: Sequence[SegmentFile], kept: Sequence[Sample]) -> SegmentFile | None:
        try:
            if kept:
                return segment_file.write_thinned(self._directory, group, kept)
        except OSError as error:
            # There is no room to make room: what cannot be thinned goes as a whole, or the bound would not hold.
            log.warning("%d of the oldest samples are given up, since they cannot be thinned out: %s", len(kept), error)
        for each in group:
            each.remove()
        return None


def _lock(directory: Path) -> int | None:
    """Take the directory for this process, until it ends or closes the descriptor. Raises OSError where it is taken."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BlockingIOError(error.errno, "another agent uses it") from error
    return descriptor
