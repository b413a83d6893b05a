"""A thread that does jobs one after another, and is left to itself when one of them takes too long.

One thread for all as long as all goes well, because a thread for each collector would cost memory and switches; only
a job that hangs gets to keep its thread, and the jobs behind it go on in another one.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

# A lane without work for so long ends its thread; the next job starts another.
IDLE_S = 60.0

Work = Callable[[], Mapping[str, object]]


class Job:
    """One call of `work`, and what came of it.

    `is_done` is set last: until then nothing but `is_left` may be looked at. `is_left` says that nobody waits for it
    any more. `took_s` is its time on the clock, `cpu_s` what its thread used of a processor, and `programs_cpu_s` what
    the programs that it ran did.
    """

    def __init__(self, work: Work, limit_s: float) -> None:
        self._work = work
        self.limit_s = limit_s
        self.started_s = 0.0
        self.took_s = 0.0
        self.cpu_s = self.programs_cpu_s = 0.0
        self.fields: Mapping[str, object] = {}
        self.error: Exception | None = None
        self.is_left = False
        self.is_done = False

    def run(self) -> None:
        """Call `work`, whatever it raises."""
        cpu_s, programs_cpu_s = time.thread_time(), _programs_cpu_s()
        try:
            self.fields = self._work()
        except Exception as error:  # noqa: BLE001 - drivers fail in every way; the group tells it
            self.error = error
        self.cpu_s = time.thread_time() - cpu_s
        self.programs_cpu_s = _programs_cpu_s() - programs_cpu_s
        self.took_s = time.monotonic() - self.started_s
        self.is_done = True


def _programs_cpu_s() -> float:
    """Give the processor time of all programs that were run and have ended."""
    times = os.times()
    return times.children_user + times.children_system


class Lane:
    """Does jobs in their order. `add` and `wait` are for one thread, which never runs a job itself."""

    def __init__(self, name: str, idle_s: float = IDLE_S) -> None:
        self._name = name
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._queue: deque[Job] = deque()
        self._current: Job | None = None
        self._thread: threading.Thread | None = None

    def add(self, jobs: Sequence[Job]) -> None:
        """Take in jobs."""
        if not jobs:
            return
        with self._changed:
            self._queue.extend(jobs)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def wait(self, patience_s: float = math.inf) -> None:
        """Block until every job is done, or was left because it was over its limit, or for `patience_s`."""
        ends_s = time.monotonic() + patience_s
        with self._changed:
            while self._current or self._queue:
                remaining_s, patience_s = self._remaining_s(), ends_s - time.monotonic()
                if remaining_s <= 0:
                    self._leave()
                elif patience_s <= 0:
                    return
                else:
                    self._changed.wait(min(remaining_s, patience_s))

    def _remaining_s(self) -> float:
        if self._current is None:
            # The thread is about to take the first of the queue.
            return self._queue[0].limit_s
        return self._current.started_s + self._current.limit_s - time.monotonic()

    def _leave(self) -> None:
        """Leave the job at work, and the thread with it."""
        if self._current:
            self._current.is_left = True
        self._current = self._thread = None
        if self._queue:
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        own = threading.current_thread()
        while True:
            job = self._next(own)
            if job is None:
                return
            job.run()

    def _next(self, own: threading.Thread) -> Job | None:
        """Take the next job for this thread; None when it is to end, because it was left or nothing comes."""
        with self._changed:
            if self._thread is not own:
                return None
            self._current = None
            if not self._queue:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._thread is not own, self._idle_s)
            if self._thread is not own:
                return None
            if not self._queue:
                self._thread = None
                return None
            self._current = self._queue.popleft()
            self._current.started_s = time.monotonic()
            return self._current
