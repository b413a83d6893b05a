"""What one client is still to be sent: straight to its wire, or a bounded queue, or debts; a verdict on the slow.

Pure: the wire is a function. While the wire takes what it is given, nothing is kept here. Once it is blocked, frames of
topics are queued below the high-water mark; above it the client is owed a catch-up instead, made when the queue has
emptied. So a client costs at most the mark and one catch-up, however slow it is.
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import msgspec

from services.broadcaster.frames import PLAIN, Form, Frame, Frames

Pay = Callable[[], None]
"""Pays a debt: queues what brings the client up to date, or nothing if that must wait for something else."""

Write = Callable[[Any], None]
"""Gives a frame, in its form, to the wire, which calls `block` when it wants no more, maybe before it returns."""


class Bounds(msgspec.Struct, frozen=True):
    """How much may wait for one client, and how long it may take nothing.

    Above the high-water mark it is skipped. It is too slow to be kept after `stall_s` without taking a frame, or when
    `replies` answers to its own messages have gathered since its queue was last empty.
    """

    high_water_bytes: int = 256_000
    high_water_frames: int = 100
    replies: int = 1_000
    stall_s: float = 30.0


class Outbox:
    """The queue of one client. `write` is its wire, which says by `block` and `flow` whether it takes frames.

    `form` gives the bytes of a frame as this wire takes them. They are two functions and not one, because a fan-out
    goes through many thousand outboxes, and what each has for itself is what it costs: a lane uses them, and `flows`,
    without a call in between.
    """

    __slots__ = (
        "_bounds",
        "_debts",
        "_last_seen",
        "_progress",
        "_queue",
        "_replies",
        "flows",
        "form",
        "queued_bytes",
        "write",
    )

    def __init__(self, bounds: Bounds, write: Write, form: Form = PLAIN) -> None:
        self._bounds = bounds
        self.write = write
        self.form = form
        self.flows = True
        self._queue: deque[Frame] = _NOTHING
        self._debts: dict[Hashable, Pay] | None = None
        self._replies = 0
        self._progress = 0
        self._last_seen = (-1, 0.0)  # whatever it has done by the first look is progress
        self.queued_bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether it is below the high-water mark."""
        bounds = self._bounds
        return self.queued_bytes < bounds.high_water_bytes and len(self._queue) < bounds.high_water_frames

    @property
    def is_empty(self) -> bool:
        """Whether the wire has taken everything, and takes more."""
        return self.flows and not self._queue

    def offer(self, frames: Frames) -> bool:
        """Send frames of a topic, or refuse them all: the client is then owed a catch-up.

        For a client that does not take them now, no more than one frame is kept of what it can be given later.
        """
        if self.flows and len(frames) == 1:  # nearly always
            self.write(self.form(frames[0]))
            return True
        if not self.flows and not (self.has_room and len(frames) == 1):
            return False
        self.push(frames)
        return True

    def push(self, frames: Frames) -> None:
        """Send frames of a topic in any case: an answer to a subscription, or the payment of a debt."""
        for frame in frames:
            if self.flows and not self._queue:
                self.write(self.form(frame))
            else:
                self._keep(frame)

    def reply(self, frame: Frame) -> None:
        """Send the answer to a message of the client."""
        if not self.flows:
            self._replies += 1
        self.push((frame,))

    def owe(self, debtor: Hashable, pay: Pay) -> None:
        """Call `pay` once the queue has emptied; a debt that the debtor has already is replaced."""
        if self.is_empty and not self._debts:
            pay()
            return
        if self._debts is None:
            self._debts = {}
        self._debts[debtor] = pay

    def forgive(self, debtor: Hashable) -> None:
        """Forget a debt, if there is one."""
        if self._debts:
            self._debts.pop(debtor, None)

    def block(self) -> None:
        """Keep frames from now on: the wire is full, or gone."""
        self.flows = False

    def flow(self) -> None:
        """Give the wire what waits, until it is blocked again."""
        self.flows = True
        self._progress += 1
        while self.flows:
            if self._queue:
                frame = self._queue.popleft()
                self.queued_bytes -= frame.size_bytes
                self.write(self.form(frame))
            elif self._debts:
                self._debts.pop(next(iter(self._debts)))()
            else:
                self._queue, self._debts, self._replies = _NOTHING, None, 0
                return

    def is_too_slow(self, now: float) -> bool:
        """Give the verdict; it is to be asked for regularly, `now` being seconds of a clock that never goes back."""
        if self._replies > self._bounds.replies:
            return True
        progress, since = self._last_seen
        if self.flows or progress != self._progress:
            self._last_seen = (self._progress, now)
            return False
        return now - since > self._bounds.stall_s

    def _keep(self, frame: Frame) -> None:
        if self._queue is _NOTHING:
            self._queue = deque()
        self._queue.append(frame)
        self.queued_bytes += frame.size_bytes


_NOTHING: deque[Frame] = deque(maxlen=0)
"""The queue of everyone for whom nothing waits: a queue of its own would take half a kilobyte for each connection."""
