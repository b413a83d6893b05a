"""What one client is still to be sent: a bounded queue of frames, debts for what did not fit, a verdict on the slow.

Pure. Frames of topics are only queued below the high-water mark; above it the client is owed a catch-up instead, made
when the queue has emptied. So a client costs at most the mark and one catch-up, however slow it is.
"""

from collections import deque
from collections.abc import Callable, Hashable

import msgspec

from services.broadcaster.frames import Frame, Frames

Pay = Callable[[], None]
"""Pays a debt: queues what brings the client up to date, or nothing if that must wait for something else."""


class Bounds(msgspec.Struct, frozen=True):
    """How much may wait for one client, and how long it may take nothing.

    Above the high-water mark it is skipped. It is too slow to be kept after `stall_s` without taking a frame, or when
    `replies` answers to its own messages have gathered since its queue was last empty.
    """

    high_water_bytes: int = 1_000_000
    high_water_frames: int = 1_000
    replies: int = 1_000
    stall_s: float = 30.0


class Outbox:
    """The queue of one client; `wake` is called when there is something to take after there was nothing."""

    def __init__(self, bounds: Bounds, wake: Callable[[], None]) -> None:
        self._bounds = bounds
        self._wake = wake
        self._queue: deque[Frame] = deque()
        self._debts: dict[Hashable, Pay] = {}
        self._is_idle = True
        self._replies = 0
        self._last_seen = (0, 0.0)
        self.queued_bytes = 0
        self._taken_frames = 0
        self._taken_bytes = 0
        self._counted = (0, 0)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether it is below the high-water mark."""
        bounds = self._bounds
        return self.queued_bytes < bounds.high_water_bytes and len(self._queue) < bounds.high_water_frames

    def offer(self, frames: Frames) -> bool:
        """Queue frames of a topic, or refuse them all: the client is then owed a catch-up."""
        if not self.has_room:
            return False
        self.push(frames)
        return True

    def push(self, frames: Frames) -> None:
        """Queue frames of a topic in any case: an answer to a subscription, or the payment of a debt."""
        for frame in frames:
            self._queue.append(frame)
            self.queued_bytes += frame.size_bytes
        self._stir()

    def reply(self, frame: Frame) -> None:
        """Queue the answer to a message of the client."""
        self._replies += 1
        self.push((frame,))

    def owe(self, debtor: Hashable, pay: Pay) -> None:
        """Call `pay` once the queue has emptied; a debt that the debtor has already is replaced."""
        self._debts[debtor] = pay
        self._stir()

    def forgive(self, debtor: Hashable) -> None:
        """Forget a debt, if there is one."""
        self._debts.pop(debtor, None)

    def take(self) -> Frame | None:
        """Take the next frame to send; None when there is nothing to do until `wake` is called."""
        while not self._queue and self._debts:
            debtor = next(iter(self._debts))
            self._debts.pop(debtor)()
        if not self._queue:
            self._is_idle = True
            self._replies = 0
            return None
        frame = self._queue.popleft()
        self.queued_bytes -= frame.size_bytes
        self._taken_frames += 1
        self._taken_bytes += frame.size_bytes
        return frame

    def take_counts(self) -> tuple[int, int]:
        """Return how many frames and bytes were taken since it was last asked."""
        frames, size_bytes = self._counted
        self._counted = (self._taken_frames, self._taken_bytes)
        return self._taken_frames - frames, self._taken_bytes - size_bytes

    def is_too_slow(self, now: float) -> bool:
        """Give the verdict; it is to be asked for regularly, `now` being seconds of a clock that never goes back."""
        if self._replies > self._bounds.replies:
            return True
        taken_frames, since = self._last_seen
        if self._is_idle or taken_frames != self._taken_frames:
            self._last_seen = (self._taken_frames, now)
            return False
        return now - since > self._bounds.stall_s

    def _stir(self) -> None:
        if self._is_idle:
            self._is_idle = False
            self._wake()
