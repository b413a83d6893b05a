"""What the server has not answered for: live samples, and those that it missed, kept on disk or else in memory.

A sample is *live* until it has been answered for or an outage came between: then it is *missed*, and goes after the
live ones, oldest first. While all is well samples are answered for at once and never touch the disk. They are written
when that takes longer than a few seconds, at once while the server is known to be away, and when the agent ends.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.spool import Spool

log = logging.getLogger(__name__)

# An answer takes milliseconds; after this long it may as well not come.
WRITE_AFTER_S = 3.0
# A disk that is full or read-only is tried again this often.
DISK_RETRY_S = 60.0
WRITTEN_AT_ONCE = 200


@dataclass
class _Live:
    sample: Sample
    taken_s: float
    is_sent: bool = False
    is_written: bool = False


class Backlog:
    """Samples in order. Without a `spool` they are kept in `memory` alone. Times are of the monotonic clock.

    Nothing here raises: what the disk does not take stays in memory, with one warning.
    """

    def __init__(self, spool: Spool | None, memory: SampleBuffer) -> None:
        self._spool = spool
        self._memory = memory
        self._live: dict[tuple[str, int], _Live] = {}
        self._is_connected = True
        self._disk_failed_s: float | None = None

    def __len__(self) -> int:
        written = len(self._spool) if self._spool is not None else 0
        unwritten = sum(1 for each in self._live.values() if not each.is_written)
        return written + unwritten + len(self._memory)

    @property
    def thinned(self) -> int:
        """How many samples were given up for want of room."""
        return self._memory.thinned + (self._spool.thinned if self._spool is not None else 0)

    def resize(self, capacity: int) -> None:
        """Keep at most `capacity` samples on disk."""
        if self._spool is not None:
            self._spool.resize(capacity)

    def add(self, sample: Sample, now_s: float) -> None:
        """Take a new sample, the newest of this start."""
        if not self._is_connected:
            self._miss(list(self._live.values()), now_s)
        self._live[sample.identity] = _Live(sample, now_s)
        self._write_live(now_s, taken_before_s=now_s - WRITE_AFTER_S if self._is_connected else now_s)

    def connected(self) -> None:
        """Note that samples can be sent."""
        self._is_connected = True

    def lost(self, now_s: float) -> None:
        """Note that the server is away: what was sent and not answered for is missed, the newest sample waits."""
        self._is_connected = False
        held = list(self._live.values())
        newest = [each for each in held[-1:] if not each.is_sent]
        self._miss(held[: len(held) - len(newest)], now_s)
        self._write_live(now_s, taken_before_s=now_s)

    def has_fresh(self) -> bool:
        """Tell whether there are live samples that have not been sent."""
        return any(not each.is_sent for each in self._live.values())

    def take_fresh(self, limit: int, limit_bytes: int) -> list[Sample]:
        """Give live samples that are to be sent now, oldest first; `settle` or `miss` must follow."""
        taken: list[Sample] = []
        size_bytes = 0
        for each in self._live.values():
            if each.is_sent:
                continue
            size_bytes += len(each.sample.encoded) + 1
            if len(taken) >= limit or (taken and size_bytes > limit_bytes):
                break
            each.is_sent = True
            taken.append(each.sample)
        return taken

    def has_late(self) -> bool:
        """Tell whether there are missed samples that may be sent."""
        return bool(self.late(1, 0))

    def late(self, limit: int, limit_bytes: int) -> list[Sample]:
        """Give some missed samples of one start, oldest first; they stay until `settle`.

        None beyond a sample that is still live: late ones must arrive in ascending order.
        """
        kept: Sequence[Sample] = self._spool.oldest(limit, limit_bytes) if self._spool is not None else []
        if not kept and not (self._spool and len(self._spool)):
            kept = self._memory.oldest(limit)
        batch: list[Sample] = []
        size_bytes = 0
        for sample in kept:
            size_bytes += len(sample.encoded) + 1
            if sample.identity in self._live or sample.boot_id != kept[0].boot_id:
                break
            if batch and size_bytes > limit_bytes:
                break
            batch.append(sample)
        return batch

    def settle(self, samples: Sequence[Sample]) -> None:
        """Forget samples: the server has answered for them."""
        live = [self._live.pop(each.identity) for each in samples if each.identity in self._live]
        unwritten = {each.sample.identity for each in live if not each.is_written}
        kept = [each for each in samples if each.identity not in unwritten]
        if not kept:
            return
        if self._spool and len(self._spool):
            self._spool.discard(kept)
        elif len(self._memory):
            self._memory.discard_through(kept[-1].seq)

    def miss(self, samples: Sequence[Sample], now_s: float) -> None:
        """Note that these were sent and not taken: they go behind the live ones."""
        self._miss([self._live[each.identity] for each in samples if each.identity in self._live], now_s)

    def store(self, now_s: float) -> None:
        """Have everything on disk, as far as possible: the agent ends."""
        if self._disk_failed_s is not None:
            self._disk_failed_s = now_s - DISK_RETRY_S  # it is tried once more, and was complained of already
        self._miss(list(self._live.values()), now_s)
        self._empty_memory(now_s)
        if self._spool is not None:
            try:
                self._spool.sync()
            except OSError as error:
                self._note_failure(error, now_s)

    def close(self) -> None:
        """Touch the disk no more."""
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def _miss(self, held: Sequence[_Live], now_s: float) -> None:
        if not held:
            return
        # All before the last of them, or later ones would come before them on disk.
        self._write_live(now_s, taken_before_s=held[-1].taken_s)
        for each in held:
            del self._live[each.sample.identity]
            if not each.is_written:
                self._memory.add(each.sample)

    def _write_live(self, now_s: float, *, taken_before_s: float) -> None:
        unwritten = [each for each in self._live.values() if not each.is_written and each.taken_s <= taken_before_s]
        if not unwritten and not len(self._memory):
            return
        if self._empty_memory(now_s) and unwritten and self._write([each.sample for each in unwritten], now_s):
            for each in unwritten:
                each.is_written = True

    def _empty_memory(self, now_s: float) -> bool:
        """Write what is in memory; tell whether nothing is left, so that later samples may follow on disk."""
        while len(self._memory):
            samples = self._memory.oldest(WRITTEN_AT_ONCE)
            if not self._write(samples, now_s):
                return False
            self._memory.discard_through(samples[-1].seq)
        return True

    def _write(self, samples: Sequence[Sample], now_s: float) -> bool:
        is_too_early = self._disk_failed_s is not None and now_s - self._disk_failed_s < DISK_RETRY_S
        if self._spool is None or is_too_early:
            return False
        try:
            self._spool.append(samples, now_s)
        except OSError as error:
            self._note_failure(error, now_s)
            return False
        if self._disk_failed_s is not None:
            log.info("samples are kept on disk again")
            self._disk_failed_s = None
        return True

    def _note_failure(self, error: OSError, now_s: float) -> None:
        if self._disk_failed_s is None:
            log.warning("samples cannot be kept on disk (%s), only in memory for now", error.strerror or error)
        self._disk_failed_s = now_s
