"""How long the journal is kept: old events go, but for those by which it still tells what it promises.

Of each topic stay the newest events, which clients that come back are sent, and below the floor the last event of each
record that existed there: with it, the state at the floor and at every later version can be told.
"""

import datetime as dt

import structlog
from asyncpg import Connection, Pool

from shared.io.database.queries import queries
from shared.io.telemetry import Counter
from shared.journal import REPLAYED_EVENTS
from shared.names import Topic
from shared.settings import Journal

log = structlog.get_logger(__name__)

SLICE = 1_000
"""By so many events at most a floor is moved at once: the topic's row is locked for as long as their deletion takes to
commit, and its applier may have to wait for that."""

_SQL = queries("journal")
_FORGOTTEN = Counter("muster_forgotten_events_total", "Events that the journal has let go of")


async def forget_events(pool: Pool, kept: Journal, now: dt.datetime) -> None:
    """Let go of the events that are older than they are kept, or too many, in slices."""
    before = await horizon(pool, kept, now)
    topics = [Topic(*row) async for row in _SQL.topics_with_events_before(pool, moment=before)]
    for topic in topics:
        forgotten = 0
        while (more := await _forget_slice_of(pool, topic, before)) is not None:
            forgotten += more
        if forgotten:
            log.info("events forgotten", topic=str(topic), events=forgotten, before=before.isoformat())


async def horizon(pool: Pool | Connection, kept: Journal, now: dt.datetime) -> dt.datetime:
    """Return the moment before which events may go, by their age or because the journal has enough newer ones."""
    by_age = now - dt.timedelta(seconds=kept.events_retention_s)
    by_number = await _SQL.moment_of_oldest_kept(pool, most=kept.events_max)
    return by_age if by_number is None else max(by_age, by_number)


async def _forget_slice_of(pool: Pool, topic: Topic, before: dt.datetime) -> int | None:
    async with pool.acquire() as connection:
        return await forget_slice(connection, topic, before)


async def forget_slice(
    connection: Connection,
    topic: Topic,
    before: dt.datetime,
    *,
    kept_events: int = REPLAYED_EVENTS,
    slice_: int = SLICE,
) -> int | None:
    """Move a topic's floor by a slice of events that are older than `before`, and delete what it makes needless.

    Return how many that were, None when the floor stays where it is. The newest `kept_events` of the topic stay.
    """
    name = {"workspace_id": topic.workspace_id, "topic": topic.resource}
    async with connection.transaction():
        step = await _SQL.next_floor(connection, **name, moment=before, kept_events=kept_events, slice=slice_)
        if step is None or step["next"] is None:
            return None
        forgotten: int = await _SQL.forget_events(connection, **name, floor=step["floor"], next=step["next"])
        # the applier writes the same row: it is locked last, and for the shortest time
        await _SQL.raise_floor(connection, **name, next=step["next"])
    _FORGOTTEN.inc(forgotten)
    return forgotten
