"""Runs the agent's two threads and ends them in order.

Two plain threads, no event loop: everything that psutil reads may block (a disk that hangs, a slow sensor), and one
blocked measurement must not hold up the network, nor the network a measurement. Neither thread waits for anything but
the exchange. The main thread waits for signals alone, so that a stop is always heard; both threads are daemons, so that
a blocked one cannot keep the process alive.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from muster_agent.errors import AgentError
from muster_agent.exchange import Exchange
from muster_agent.reporter import Reporter
from muster_agent.sampler import Sampler
from muster_agent.transport import Transport

log = logging.getLogger(__name__)

# Flush and goodbye fit in; what is stuck in a request for longer is left behind.
LEAVE_S = 4.0
STORE_S = 1.0
# A signal that comes in the instant before the main thread blocks wakes nobody: so it looks up this often.
LOOK_UP_S = 0.5

SAMPLING = "sampling"
SENDING = "sending"


@dataclass(frozen=True)
class StopAsked:
    """Somebody wants the agent to end; `quietly` without a goodbye, because it is about to come back."""

    quietly: bool = False


@dataclass(frozen=True)
class ThreadEnded:
    """A thread is through, by its own error if there is one."""

    name: str
    error: Exception | None


class Agent:
    """A sampler and a reporter at work. `run` blocks; `stop` may be called from a signal handler."""

    def __init__(
        self,
        sampler: Sampler,
        reporter: Reporter,
        exchange: Exchange,
        transport: Transport,
    ) -> None:
        self._sampler = sampler
        self._reporter = reporter
        self._exchange = exchange
        self._transport = transport
        # SimpleQueue.put is the one way to wake a thread that is safe in a signal handler.
        self._events: queue.SimpleQueue[StopAsked | ThreadEnded] = queue.SimpleQueue()
        self._ends_s = 0.0

    def stop(self, *, quietly: bool = False) -> None:
        """Ask the agent to send what it has, say goodbye (but `quietly`) and end."""
        self._events.put(StopAsked(quietly))

    def run(self) -> bool:
        """Work until asked to stop, and keep what is left; tell whether it went well. Ends at most 5 s after `stop`."""
        try:
            return self._run()
        finally:
            # what the goodbye has left of the time is the disk's: a busy one may need it
            left = self._exchange.store(max(STORE_S, self._ends_s - time.monotonic()))
            if left is None:
                log.warning("the disk does not answer; what it has not got of the last samples is lost")
            elif left:
                log.info("%d samples are kept for the next start", left)

    def _run(self) -> bool:
        self._start(SAMPLING, lambda: self._sampler.run(self._exchange))
        self._start(SENDING, self._report)
        event = self._next_event(math.inf)
        went_well = isinstance(event, StopAsked)
        deadline_s = time.monotonic() + LEAVE_S
        self._ends_s = deadline_s + STORE_S
        self._exchange.stop(quietly=isinstance(event, StopAsked) and event.quietly)
        while event is not None:
            if isinstance(event, ThreadEnded):
                went_well = self._judge(event) and went_well
                if event.name == SENDING:
                    return went_well
            event = self._next_event(deadline_s)
        log.warning("the server or the disk does not answer; leaving")
        return went_well

    def _next_event(self, deadline_s: float) -> StopAsked | ThreadEnded | None:
        """Wait for an event; None when there was none until the deadline (of the monotonic clock)."""
        while True:
            remaining_s = max(0.0, deadline_s - time.monotonic())
            with contextlib.suppress(queue.Empty):
                return self._events.get(timeout=min(LOOK_UP_S, remaining_s))
            if remaining_s == 0:
                return None

    def _start(self, name: str, work: Callable[[], None]) -> None:
        threading.Thread(target=self._supervised, args=(name, work), name=name, daemon=True).start()

    def _supervised(self, name: str, work: Callable[[], None]) -> None:
        _leave_signals_to_the_main_thread()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which ends the process
            self._events.put(ThreadEnded(name, error))
        else:
            self._events.put(ThreadEnded(name, None))

    def _report(self) -> None:
        with contextlib.closing(self._transport):
            self._reporter.run()

    def _judge(self, ended: ThreadEnded) -> bool:
        if isinstance(ended.error, AgentError):
            log.error("%s", ended.error)
        elif ended.error is not None:
            log.error("the %s thread failed", ended.name, exc_info=ended.error)
        return ended.error is None


def _leave_signals_to_the_main_thread() -> None:
    """Block signals in this thread.

    Of two that come together the kernel may give both to any thread that takes them, and Python would run their
    handlers only when the main thread happens to wake.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
