"""Holds samples in memory, within bounds, losing detail of the oldest first: what serves where the disk does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A day at the default interval of 5 s.
CAPACITY_SAMPLES = 17_280
# The disk holds more: an agent must stay small.
CAPACITY_BYTES = 8 * 1024 * 1024
# Of fewer samples, there is no second one to drop.
SMALLEST_HALF = 2


@dataclass(frozen=True)
class Sample:
    """One sample as it goes over the wire: the start of the agent, its number within it, and its JSON, encoded once."""

    boot_id: str
    seq: int
    encoded: bytes

    @property
    def identity(self) -> tuple[str, int]:
        """What tells it from all other samples of this machine."""
        return self.boot_id, self.seq


class SampleBuffer:
    """Samples of one start in the order of their `seq`, at most `capacity` of them and `capacity_bytes` bytes.

    When it is full, every second sample of the older half goes: a long outage leaves a curve that is the coarser the
    older it is, not a hole.
    `thinned` counts what was lost that way.
    """

    def __init__(self, capacity: int = CAPACITY_SAMPLES, capacity_bytes: int = CAPACITY_BYTES) -> None:
        if capacity < 2 * SMALLEST_HALF:
            raise ValueError(f"a buffer needs room for at least {2 * SMALLEST_HALF} samples, not {capacity}")
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._samples: list[Sample] = []
        self._size_bytes = 0
        self.thinned = 0

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample) -> int:
        """Keep a sample that is newer than all the others; give how many older ones had to go for it."""
        self._samples.append(sample)
        self._size_bytes += len(sample.encoded)
        removed = 0
        while self._is_over_capacity():
            removed += self._thin()
        self.thinned += removed
        return removed

    def oldest(self, limit: int) -> Sequence[Sample]:
        """Give up to `limit` samples from the oldest on. They stay here until they are acknowledged."""
        return self._samples[:limit]

    def discard_through(self, seq: int) -> int:
        """Forget every sample up to and including `seq`; give how many there were.

        By number and not by count, because samples may be thinned while they are on their way.
        """
        kept = [sample for sample in self._samples if sample.seq > seq]
        discarded = len(self._samples) - len(kept)
        self._replace(kept)
        return discarded

    def _is_over_capacity(self) -> bool:
        if len(self._samples) > self._capacity:
            return True
        # The newest sample is always kept, however large it is.
        return self._size_bytes > self._capacity_bytes and len(self._samples) > 1

    def _thin(self) -> int:
        half = len(self._samples) // 2
        # The very oldest stays: it says when the outage began.
        kept = self._samples[:half:2] + self._samples[half:] if half >= SMALLEST_HALF else self._samples[1:]
        removed = len(self._samples) - len(kept)
        self._replace(kept)
        return removed

    def _replace(self, samples: list[Sample]) -> None:
        self._samples = samples
        self._size_bytes = sum(len(sample.encoded) for sample in samples)
