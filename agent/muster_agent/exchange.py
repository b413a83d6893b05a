"""What the sampling and the sending thread share, under one lock: samples, the interval, and the request to stop."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence

from muster_agent.backlog import Backlog
from muster_agent.buffer import Sample

# How long an outage may last before detail of it is lost.
KEEP_S = 24 * 3600.0
LOCK_WITHIN_S = 0.5


class Exchange:
    """Samples go one way, the interval the other. Every method may be called from any thread.

    Samples of `keep_s` seconds are kept for a server that is away.

    Times are seconds of the monotonic clock. All waiting ends early once `stop` has been called. Whatever touches
    samples may wait for the disk, and the others meanwhile for the lock; a disk that hangs holds up neither `stop`
    nor `store` for long.
    """

    def __init__(self, backlog: Backlog, interval_s: float, keep_s: float = KEEP_S) -> None:
        self._backlog = backlog
        self._interval_s = interval_s
        self._keep_s = keep_s
        self._listener: Callable[[], None] | None = None
        self._stopping = False
        self._is_quiet = False
        self._changed = threading.Condition()

    @property
    def interval_s(self) -> float:
        """Seconds between two samples, as decided last."""
        with self._changed:
            return self._interval_s

    def change_interval(self, interval_s: float) -> bool:
        """Set another interval and wake the sampling thread; tell whether it is another one."""
        with self._changed:
            if interval_s == self._interval_s:
                return False
            self._interval_s = interval_s
            self._backlog.resize(capacity(self._keep_s, interval_s))
            self._changed.notify_all()
            return True

    @property
    def stopping(self) -> bool:
        """Whether the threads have been asked to end."""
        return self._stopping

    @property
    def is_quiet(self) -> bool:
        """Whether to end without a goodbye, because the agent is about to come back."""
        return self._is_quiet

    def stop(self, *, quietly: bool = False) -> None:
        """Ask both threads to end, and wake them."""
        self._is_quiet = quietly
        self._stopping = True
        # Where a disk that hangs holds the lock, whoever waits for it finds out by itself.
        if self._changed.acquire(timeout=LOCK_WITHIN_S):
            try:
                self._tell()
            finally:
                self._changed.release()

    def add(self, sample: Sample) -> int:
        """Hand over a sample; give how many older ones were thinned out to make room."""
        with self._changed:
            thinned = self._backlog.thinned
            self._backlog.add(sample, time.monotonic())
            self._tell()
            return self._backlog.thinned - thinned

    def connected(self) -> None:
        """Note that the server takes samples."""
        with self._changed:
            self._backlog.connected()

    def lost(self) -> None:
        """Note that the server is away: what it has not answered for is missed."""
        with self._changed:
            self._backlog.lost(time.monotonic())

    def has_fresh(self) -> bool:
        """Tell whether there are new samples to send."""
        with self._changed:
            return self._backlog.has_fresh()

    def has_late(self) -> bool:
        """Tell whether there are missed samples to send."""
        with self._changed:
            return self._backlog.has_late()

    def take_fresh(self, limit: int, limit_bytes: int) -> Sequence[Sample]:
        """Give new samples that are sent now; `settle`, `miss` or `lost` must follow."""
        with self._changed:
            return self._backlog.take_fresh(limit, limit_bytes)

    def late(self, limit: int, limit_bytes: int) -> Sequence[Sample]:
        """Give the oldest of those that were missed; they stay until `settle`."""
        with self._changed:
            return self._backlog.late(limit, limit_bytes)

    def settle(self, samples: Sequence[Sample]) -> None:
        """Forget samples: the server has answered for them."""
        with self._changed:
            self._backlog.settle(samples)

    def miss(self, samples: Sequence[Sample]) -> None:
        """Note that the server has not taken these and wants them later."""
        with self._changed:
            self._backlog.miss(samples, time.monotonic())

    def waiting(self) -> int:
        """Give the number of samples that no server has answered for yet."""
        with self._changed:
            return len(self._backlog)

    def store(self, timeout_s: float) -> int | None:
        """Put what is left on disk and touch the disk no more; give how many samples that is.

        None when the disk did not take them in time: then what it has not got by now is lost.
        """
        stored: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=lambda: stored.put(self._store()), name="storing", daemon=True).start()
        try:
            return stored.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _store(self) -> int:
        with self._changed:
            self._backlog.store(time.monotonic())
            left = len(self._backlog)
            self._backlog.close()
            return left

    def notify(self, listener: Callable[[], None] | None) -> None:
        """Call `listener` whenever there is a sample or a request to stop, from any thread; it must not block."""
        with self._changed:
            self._listener = listener

    def wait_for_fresh(self, timeout_s: float) -> None:
        """Block until there is a new sample, or the timeout has passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._backlog.has_fresh(), timeout_s)

    def pause(self, duration_s: float) -> None:
        """Block for `duration_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, duration_s)

    def wait_until(self, instant_s: float, interval_s: float) -> bool:
        """Block until `instant_s`; tell whether it was reached.

        False when the threads are to stop, or when the interval is not `interval_s` any more, so that the caller
        looks at its schedule again.
        """
        with self._changed:
            interrupted = self._changed.wait_for(
                lambda: self._stopping or self._interval_s != interval_s, instant_s - time.monotonic()
            )
            return not interrupted

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._listener:
            self._listener()


def capacity(keep_s: float, interval_s: float) -> int:
    """Give how many samples there are in `keep_s` seconds."""
    return max(1, math.ceil(keep_s / interval_s))
