"""What signals mean to `muster up`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from stack.interrupts import Interrupts


@pytest.fixture(autouse=True)
def heeded_hang_up() -> Iterator[None]:
    """Let a hang-up mean what it usually does, also where the tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


async def test_work_that_nobody_interrupts_finishes() -> None:
    interrupts = Interrupts(second=lambda: None)
    with interrupts.installed():
        assert await interrupts.finishes(asyncio.sleep(0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_first_signal_cancels_the_work_and_the_second_is_passed_on(number: signal.Signals) -> None:
    second = asyncio.Event()
    interrupts = Interrupts(second.set)
    with interrupts.installed():
        work = asyncio.create_task(interrupts.finishes(asyncio.sleep(3600)))
        await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        assert not await work
        assert not second.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(second.wait(), 5)


async def test_what_goes_wrong_in_the_work_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("wrong")

    interrupts = Interrupts(second=lambda: None)
    with interrupts.installed(), pytest.raises(ValueError, match="wrong"):
        await interrupts.finishes(fail())
