"""What Ctrl-C and SIGTERM mean: the first asks for an end in order, the second for an end at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

ALWAYS_TAKEN = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Listens for signals while `installed`; `second` is called at every signal after the first."""

    def __init__(self, second: Callable[[], None]) -> None:
        self._second = second
        self._first = asyncio.Event()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals, except a hang-up that the caller ignores already (`nohup`)."""
        loop = asyncio.get_running_loop()
        hang_up = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
        taken = [*ALWAYS_TAKEN, *hang_up]
        for number in taken:
            loop.add_signal_handler(number, self._handle)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    def _handle(self) -> None:
        if self._first.is_set():
            self._second()
        self._first.set()

    async def wait(self) -> None:
        """Return at the first signal."""
        await self._first.wait()

    async def finishes(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run the work and return true, or false when a signal came first, in which case it was cancelled."""
        working, waiting = asyncio.create_task(work), asyncio.create_task(self.wait())
        try:
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait((working,))
        if working.cancelled():
            return False
        working.result()
        return True
