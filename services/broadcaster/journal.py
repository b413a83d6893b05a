"""Reads from the journal in PostgreSQL what a client has missed, further back than this process remembers."""

import asyncio
from typing import Protocol

import asyncpg
import structlog

from services.broadcaster.event_feed import Event
from shared.errors import MustRefetch
from shared.io.database.journal import events_since
from shared.io.faults import LOST_CONNECTION
from shared.names import Topic

TIMEOUT_S = 2.0
"""How long a client waits for the journal before it gets everything anew."""

log = structlog.get_logger(__name__)


class Journal(Protocol):
    """What a Socket.IO client's replay asks."""

    async def events(self, topic: Topic, after: int, upto: int) -> list[Event]:
        """Return what is held of what happened after a version and up to another, in order; maybe nothing."""
        ...


class DatabaseJournal:
    """Asks PostgreSQL; when that does not answer, the journal holds nothing."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def events(self, topic: Topic, after: int, upto: int) -> list[Event]:
        """Return what is held of what happened after a version and up to another, in order; maybe nothing."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                replay = await events_since(self._pool, topic, after, upto - after)
        except MustRefetch:
            return []
        except (*LOST_CONNECTION, asyncpg.PostgresError, TimeoutError) as error:
            log.warning("the journal cannot be read", topic=str(topic), reason=f"{type(error).__name__}: {error}")
            return []
        return [Event(event.id, event.type, event.payload) for event in replay.events if event.id <= upto]
