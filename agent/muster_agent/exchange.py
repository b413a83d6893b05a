"""What the sampling and the sending thread share, under one lock: samples, the interval, and the request to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from muster_agent.buffer import Sample, SampleBuffer


class Exchange:
    """Samples go one way, the interval the other. Every method may be called from any thread.

    Times are seconds of the monotonic clock. All waiting ends early once `stop` has been called.
    """

    def __init__(self, buffer: SampleBuffer, interval_s: float) -> None:
        self._buffer = buffer
        self._interval_s = interval_s
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
            self._changed.notify_all()
            return True

    @property
    def stopping(self) -> bool:
        """Whether the threads have been asked to end."""
        with self._changed:
            return self._stopping

    @property
    def is_quiet(self) -> bool:
        """Whether to end without a goodbye, because the agent is about to come back."""
        with self._changed:
            return self._is_quiet

    def stop(self, *, quietly: bool = False) -> None:
        """Ask both threads to end, and wake them."""
        with self._changed:
            self._stopping = True
            self._is_quiet = quietly
            self._changed.notify_all()

    def add(self, sample: Sample) -> int:
        """Hand over a sample; give how many older ones were thinned out to make room for it."""
        with self._changed:
            thinned = self._buffer.add(sample)
            self._changed.notify_all()
            return thinned

    def oldest(self, limit: int) -> Sequence[Sample]:
        """Give up to `limit` samples, oldest first; they stay until `discard_through`."""
        with self._changed:
            return self._buffer.oldest(limit)

    def discard_through(self, seq: int) -> None:
        """Forget the samples up to and including `seq`: the server has answered for them."""
        with self._changed:
            self._buffer.discard_through(seq)

    def waiting(self) -> int:
        """Give the number of samples that no server has answered for yet."""
        with self._changed:
            return len(self._buffer)

    def wait_for_samples(self, timeout_s: float) -> None:
        """Block until there is a sample, or the timeout has passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or len(self._buffer) > 0, timeout_s)

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
