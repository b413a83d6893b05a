"""Follows the change log: one task that waits for the entries of all partitions and tells what was missed."""

import asyncio
import random
import time
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from services.broadcaster import metrics
from shared.change import ChangeSet, Entry, EpochOpened
from shared.errors import RetryLater
from shared.io.changelog.read import LogReader
from shared.position import Position

BLOCK_MS = 5_000
"""How long a read waits for new entries; shorter than the timeout of the connection."""

BATCH_ENTRIES = 500
"""How many entries of a partition are read at once."""

_BEFORE_EVERYTHING = Position(0, 0)
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

log = structlog.get_logger(__name__)


class Follower(Protocol):
    """Who is told what the log brings; the calls must not wait."""

    def take_in(self, change_sets: list[ChangeSet]) -> None:
        """Take the next change sets of one partition."""

    def epoch_opened(self, partition: int, epoch: int) -> None:
        """Note that what is known of the partition may not hold."""

    def entries_lost(self, partition: int) -> None:
        """Note that entries of the partition were trimmed before they were read."""


class Tail:
    """Reads the log from its end at the time of the start; `started` is set once the positions are known."""

    def __init__(self, reader: LogReader, follower: Follower) -> None:
        self._reader = reader
        self._follower = follower
        self._positions: dict[int, Position] = {}
        self._fault = "the log was not read yet"
        self.started = asyncio.Event()

    async def check(self) -> None:
        """Raise RetryLater while the log is not being followed."""
        if self._fault:
            raise RetryLater(self._fault)

    async def run(self) -> None:
        """Follow the log until cancelled; a server that does not answer is asked again."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if not self.started.is_set():
                    await self._find_end()
                entries = await self._reader.entries(self._positions, block_ms=BLOCK_MS, limit=BATCH_ENTRIES)
            except (RedisError, OSError) as error:
                self._fault = f"{type(error).__name__}: {error}"
                log.warning("the log cannot be read", reason=self._fault, retry_in_s=round(pause_s, 2))
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  (spreads retries, no secret)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            self._fault, pause_s = "", _FIRST_PAUSE_S
            for partition, batch in entries.items():
                self._pass_on(partition, batch)
                # a long backlog must not keep clients from being served
                await asyncio.sleep(0)

    async def _find_end(self) -> None:
        for partition in range(self._reader.partitions):
            last = await self._reader.last_position(partition)
            self._positions[partition] = last or _BEFORE_EVERYTHING
        # not only after the first read, which may wait for seconds on a quiet log
        self._fault = ""
        self.started.set()

    def _pass_on(self, partition: int, entries: list[Entry]) -> None:
        change_sets: list[ChangeSet] = []
        for entry in entries:
            if not entry.position.follows(self._positions[partition]):
                self._flush(change_sets)
                log.warning("entries were trimmed unread", partition=partition, next=str(entry.position))
                self._follower.entries_lost(partition)
            self._positions[partition] = entry.position
            if isinstance(entry, EpochOpened):
                self._flush(change_sets)
                self._follower.epoch_opened(partition, entry.position.epoch)
            else:
                change_sets.append(entry)
        self._flush(change_sets)

    def _flush(self, change_sets: list[ChangeSet]) -> None:
        if change_sets:
            metrics.TAIL_LAG.set(max(0.0, time.time() - change_sets[-1].at_ms / 1000))
            self._follower.take_in(change_sets)
            change_sets.clear()
