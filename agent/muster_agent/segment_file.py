"""One segment of the spool as a file: what is in it, how far it is acknowledged, and how it is written.

A segment is called `<number>-<bytes acknowledged>.samples`. How far it is acknowledged is in its name because renaming
is atomic and writes no data.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from muster_agent import segment
from muster_agent.buffer import Sample
from muster_agent.segment import Stored

log = logging.getLogger(__name__)

NAME = re.compile(r"(\d{10})-(\d{10})\.samples")
TEMPORARY = "thinned.tmp"


@dataclass
class SegmentFile:
    """`count` samples, `size_bytes` long, are left after the byte `offset`.

    `floor` is the sample before its first one: what does not follow it is a repetition that a crash has left.
    """

    path: Path
    number: int
    offset: int
    count: int = 0
    size_bytes: int = 0
    floor: Sample | None = None

    def read(self) -> list[Stored]:
        """Give the samples that are left. Raises OSError."""
        rest: list[Stored] = []
        before = self.floor
        for stored in segment.read(self.path.read_bytes(), self.offset):
            if before is None or follows(stored.sample, before):
                rest.append(stored)
                before = stored.sample
        return rest

    def acknowledge(self, last: Stored, count: int) -> None:
        """Note that `count` more samples need not be kept, the last of them being `last`."""
        self.size_bytes -= last.end - self.offset
        self.count -= count
        self.offset, self.floor = last.end, last.sample
        renamed = self.path.with_name(name_of(self.number, self.offset))
        # What cannot be renamed is sent again by the next start: no reason to stop this one.
        with contextlib.suppress(OSError):
            self.path.rename(renamed)
            self.path = renamed

    def remove(self) -> None:
        """Take the file away; what cannot be removed is sent again by the next start."""
        with contextlib.suppress(OSError):
            self.path.unlink()


class SegmentWriter:
    """Appends to a new segment, with one write each time, so that a process that is killed leaves whole lines."""

    def __init__(self, directory: Path, number: int) -> None:
        path = directory / name_of(number, 0)
        self.file = SegmentFile(path, number, 0)
        self._end = 0
        # Windows would else write two bytes for each end of line, and no checksum would hold.
        is_binary = getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | is_binary, 0o600)

    @property
    def end(self) -> int:
        """The length of the file in bytes."""
        return self._end

    def append(self, samples: Sequence[Sample]) -> list[Stored]:
        """Write samples at the end, all or none. Raises OSError; then nothing more may be appended here."""
        lines = [segment.line_of(sample) for sample in samples]
        data = b"".join(lines)
        try:
            _write(self._descriptor, data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise
        stored = []
        for sample, line in zip(samples, lines):
            self._end += len(line)
            stored.append(Stored(sample, self._end))
        self.file.count += len(samples)
        self.file.size_bytes += len(data)
        return stored

    def sync(self) -> None:
        """Have all of it on the disk itself. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Write no more here."""
        os.close(self._descriptor)


def _write(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def name_of(number: int, offset: int) -> str:
    """Give the name of a segment."""
    return f"{number:010d}-{offset:010d}.samples"


def follows(sample: Sample, before: Sample) -> bool:
    """Tell whether a sample is a later one: of another start, or with a higher number."""
    return sample.boot_id != before.boot_id or sample.seq > before.seq


def find(directory: Path) -> tuple[list[SegmentFile], int]:
    """Give the segments of a directory in their order, counted, and the next number. Raises OSError.

    Empty ones are removed. One that cannot be read stays where it is, for a later start.
    """
    named = [(NAME.fullmatch(path.name), path) for path in directory.iterdir()]
    found = sorted((int(name[1]), int(name[2]), path) for name, path in named if name)
    kept: list[SegmentFile] = []
    last: Sample | None = None
    for number, offset, path in found:
        file = SegmentFile(path, number, offset, floor=last)
        try:
            stored = file.read()
        except OSError as error:
            log.warning("cannot read %s, whose samples are left out: %s", path, error.strerror or error)
            continue
        if not stored:
            file.remove()
            continue
        file.count, file.size_bytes, last = len(stored), stored[-1].end - offset, stored[-1].sample
        kept.append(file)
    return kept, found[-1][0] + 1 if found else 1


def write_thinned(directory: Path, group: Sequence[SegmentFile], kept: Sequence[Sample]) -> SegmentFile:
    """Put `kept` in the place of the samples of all segments of the group. Raises OSError; then nothing has changed.

    A crash in the middle leaves the new segment before old ones, whose samples `follows` finds to be repetitions.
    """
    temporary = directory / TEMPORARY
    data = b"".join(segment.line_of(sample) for sample in kept)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        target = directory / name_of(group[0].number, 0)
        temporary.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    for old in group:
        if old.path != target:
            old.remove()
    return SegmentFile(target, group[0].number, 0, len(kept), len(data))
