"""How long the journal is kept: old events go, but for those by which it still tells what it promises.

Of each topic stay the newest events, which clients that come back are sent, and below the floor the last event of each
record that existed there: with it, the state at the floor and at every later version can be told.
"""

import datetime as dt
from collections.abc import Collection

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
    """Let go of the events that are older than they are kept, then of those that are too many, in slices."""
    await _forget_before(pool, now - dt.timedelta(seconds=kept.events_retention_s))
    for workspace_id, before in (await too_many_before(pool, kept.events_max)).items():
        await _forget_before(pool, before, workspace_id)


async def too_many_before(pool: Pool | Connection, most: int) -> dict[str, dt.datetime]:
    """Return the workspaces that have more than their share of so many events, and the moments before which it is."""
    counts = {row["workspace_id"]: row["events"] async for row in _SQL.events_of_workspaces(pool)}
    share = fair_share(counts.values(), most)
    return {
        workspace_id: await _SQL.moment_of_oldest_kept(pool, workspace_id=workspace_id, most=share)
        for workspace_id, events in counts.items()
        if share is not None and events > share
    }


def fair_share(counts: Collection[int], most: int) -> int | None:
    """Return how many each may have so that all have at most so many, and who has less keeps what it has; else None."""
    left = most
    for place, count in enumerate(sorted(counts)):
        share = left // (len(counts) - place)
        if count > share:
            return max(share, 1)
        left -= count
    return None


async def _forget_before(pool: Pool, before: dt.datetime, workspace_id: str | None = None) -> None:
    found = _SQL.topics_with_events_before(pool, moment=before, workspace_id=workspace_id)
    for topic in [Topic(*row) async for row in found]:
        forgotten = 0
        while (more := await _forget_slice_of(pool, topic, before)) is not None:
            forgotten += more
        if forgotten:
            log.info("events forgotten", topic=str(topic), events=forgotten, before=before.isoformat())


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
