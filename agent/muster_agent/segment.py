r"""The form of samples on disk: one line each, which proves by its checksum that it is whole.

A line is `<crc32, 8 hexadecimal digits> <boot_id> <seq> <the sample's JSON>\n`, the checksum being of all between the
first blank and the end of the line. A torn or damaged line costs itself alone: the next one begins after `\n`, which
JSON as the agent encodes it does not contain.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from muster_agent.buffer import Sample

CHECKSUM_DIGITS = 8
# A line that was longer has no sample in it that a server would take.
LONGEST_SEQ_DIGITS = 19


@dataclass(frozen=True)
class Stored:
    """A sample that was read back. `end` is where its line ends, in bytes from the start of the segment."""

    sample: Sample
    end: int


def line_of(sample: Sample) -> bytes:
    """Write a sample as a line, end of line included."""
    content = b"%s %d %s" % (sample.boot_id.encode(), sample.seq, sample.encoded)
    return b"%08x %s\n" % (zlib.crc32(content), content)


def read(data: bytes, start: int = 0) -> Iterator[Stored]:
    """Give the samples of all whole lines from the byte `start` on."""
    while True:
        newline = data.find(b"\n", start)
        if newline < 0:
            return
        sample = _sample_of(data[start:newline])
        start = newline + 1
        if sample is not None:
            yield Stored(sample, start)


def _sample_of(line: bytes) -> Sample | None:
    checksum, _, content = line.partition(b" ")
    if len(checksum) != CHECKSUM_DIGITS or checksum != b"%08x" % zlib.crc32(content):
        return None
    boot_id, _, rest = content.partition(b" ")
    seq, _, encoded = rest.partition(b" ")
    if not seq.isdigit() or len(seq) > LONGEST_SEQ_DIGITS:
        return None
    return Sample(boot_id.decode("utf-8", "replace"), int(seq), encoded)
