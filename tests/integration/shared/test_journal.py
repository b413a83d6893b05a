"""The journal tells what came after an event, what happened to a record, and how a topic was, at one moment."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from shared.errors import MustRefetch, Rejected
from shared.io.database.journal import changed_since, events_since, state_at, steps_of
from shared.io.database.pool import connect
from shared.io.database.queries import queries
from shared.names import Topic
from tests.support.journal import START, JournalledTopic

TAGS = Topic("w_1", "tags")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def test_a_topic_that_never_changed_has_a_journal_without_events(database: asyncpg.Connection) -> None:
    assert ((), 0) == ((replay := await events_since(database, TAGS, 0, 10)).events, replay.version)
    assert [] == await state_at(database, TAGS, 0)
    assert [] == await steps_of(database, TAGS, "a", upto_id=99, limit=10)
    with pytest.raises(MustRefetch):
        await events_since(database, TAGS, 1, 10)
    with pytest.raises(Rejected, match="at version 0"):
        await state_at(database, TAGS, 1)


async def test_an_event_has_who_did_what_when(database: asyncpg.Connection) -> None:
    await JournalledTopic(database, TAGS).commit([("a", "put")], START)
    (event,) = (await events_since(database, TAGS, 0, 10)).events
    assert (1, "a", "add", "u_1", START) == (event.id, event.record_id, event.type, event.actor, event.at)
    expected = {"id": "a", "tag_id": "a", "version": 1, "name": "at 1", "color": "", "position": 1}
    assert expected == json.loads(event.payload)


async def test_topics_do_not_see_each_others_events(database: asyncpg.Connection) -> None:
    for topic in (TAGS, Topic("w_2", "tags")):
        await JournalledTopic(database, topic).commit([("a", "put"), ("b", "put")], START)
    await database.execute("DELETE FROM ws_events WHERE workspace_id = 'w_1'")
    assert () == (await events_since(database, TAGS, 0, 10)).events
    assert [] == await state_at(database, TAGS, 2)
    assert 2 == len(await state_at(database, Topic("w_2", "tags"), 2))


async def test_the_steps_of_a_record_come_newest_first_with_what_was_before(database: asyncpg.Connection) -> None:
    model = JournalledTopic(database, TAGS)
    changes = ["put", "put", "delete", "put"]
    for fate in changes:
        await model.commit([("a", fate), ("b", "put")], START)  # type: ignore[list-item]  # fates they are
    steps = await steps_of(database, TAGS, "a", upto_id=model.version, limit=3)
    assert [(7, 5), (5, 3), (3, 1)] == [(step.event.id, step.before and step.before.id) for step in steps]
    rest = await steps_of(database, TAGS, "a", upto_id=2, limit=3)
    assert [(1, None)] == [(step.event.id, step.before) for step in rest]


async def test_fields_that_were_altered_since_are_named(database: asyncpg.Connection) -> None:
    model = JournalledTopic(database, TAGS)
    for _ in range(3):
        await model.commit([("a", "put"), ("b", "put")], START)
    # of records at odd versions the position is always the same, and the colour of all
    fields = ["position", "color", "name"]
    assert ["name"] == await changed_since(database, TAGS, "a", 1, fields)
    assert [] == await changed_since(database, TAGS, "a", 5, fields)
    await model.commit([("a", "delete")], START)
    assert [] == await changed_since(database, TAGS, "a", 5, fields)
    await model.commit([("a", "put")], START)
    assert ["name", "position"] == await changed_since(database, TAGS, "a", 5, fields)


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("query", "arguments", "index"),
    [
        ("events_since", ("w_1", "tags", 19_000, 500), "ws_events_pkey"),
        ("record_events", ("w_1", "tags", "r_7", 2**53, 101), "ws_events_record"),
    ],
)
async def test_what_was_missed_is_found_by_an_index(
    database: asyncpg.Connection, plan: str, query: str, arguments: tuple[object, ...], index: str
) -> None:
    await database.execute(
        "INSERT INTO ws_events SELECT 'w_' || n % 3, 'tags', n, 'r_' || n % 1000, 'update', '{}', 'u_1', now() "
        "FROM generate_series(1, 20000) AS n"
    )
    await database.execute(f"ANALYZE ws_events; SET plan_cache_mode = {plan}")
    rows = await database.fetch(f"EXPLAIN {getattr(queries('journal'), query).sql}", *arguments)
    text = "\n".join(row[0] for row in rows)
    assert index in text, text
    assert "Seq Scan on ws_events" not in text, text
