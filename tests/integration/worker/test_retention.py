"""The journal lets go of nothing that it still promises to tell, whatever happened and whenever it is asked."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator

import arq
import asyncpg
import msgspec
import pytest
import pytest_asyncio
from arq.connections import RedisSettings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.worker.jobs import Jobs
from services.worker.retention import fair_share, forget_events, forget_slice, too_many_before
from shared.errors import MustRefetch, Rejected
from shared.io.database.journal import events_since, state_at
from shared.io.database.pool import connect, create_pool
from shared.names import Topic
from shared.settings import History, Journal
from tests.support.applier import until
from tests.support.journal import START, Fate, JournalledTopic, tag

TAGS = Topic("w_1", "tags")
SECOND = dt.timedelta(seconds=1)

Batch = tuple[list[tuple[str, Fate]], int]
Run = tuple[int, int, int]

fates: st.SearchStrategy[Fate] = st.sampled_from(["put", "put", "put", "delete", "aside"])
# of each: the changes, and by how many seconds they came after those before; the server's clock may be set back
batches = st.tuples(st.lists(st.tuples(st.sampled_from("abcd"), fates), min_size=1, max_size=6), st.integers(-3, 10))
# of each: of how many seconds ago everything is kept, how many events are, and how large a slice is
runs = st.tuples(st.integers(-5, 40), st.integers(1, 8), st.integers(1, 5))


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def floor_of(database: asyncpg.Connection, topic: Topic = TAGS) -> int:
    floor: int | None = await database.fetchval(
        "SELECT journal_floor FROM topics WHERE (workspace_id, resource) = ($1, $2)", topic.workspace_id, topic.resource
    )
    return floor or 0


async def ids(database: asyncpg.Connection, topic: Topic = TAGS) -> list[int]:
    rows = await database.fetch(
        "SELECT id FROM ws_events WHERE (workspace_id, topic) = ($1, $2) ORDER BY id",
        topic.workspace_id,
        topic.resource,
    )
    return [row["id"] for row in rows]


async def told_rightly(database: asyncpg.Connection, model: JournalledTopic) -> None:
    """Ask for every version, also those that never were: each answer is that of the model, or a refusal."""
    floor = await floor_of(database)
    for version in range(-1, model.version + 2):
        if version < floor or version > model.version:
            with pytest.raises((MustRefetch, Rejected)):
                await state_at(database, TAGS, version)
            with pytest.raises(MustRefetch):
                await events_since(database, TAGS, version, 100)
            continue
        records = await state_at(database, TAGS, version)
        assert model.states[version] == {record.id: record.version for record in records}
        assert all(tag(record.version) == json.loads(record.data) for record in records)
        replay = await events_since(database, TAGS, version, 100)
        later = [event for event in model.events if event.id > version]
        assert later == [(event.id, event.record_id, event.type, event.at) for event in replay.events]
        assert model.version == replay.version
        some = await events_since(database, TAGS, version, 2)
        assert replay.events[:2] == some.events


async def nothing_is_kept_in_vain(database: asyncpg.Connection, model: JournalledTopic) -> None:
    floor = await floor_of(database)
    needed = [event.id for event in model.events if event.id > floor] + list(model.states[floor].values())
    assert sorted(needed) == await ids(database)


def due_floor(model: JournalledTopic, floor: int, before: dt.datetime, kept_events: int) -> int:
    """Return the id of the last event that may go: all up to it are old, and not among the newest."""
    newest = {event.id for event in model.events[-kept_events:]}
    for event in model.events:
        if event.id > floor and (event.at >= before or event.id in newest):
            break
        floor = max(floor, event.id)
    return floor


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=st.lists(st.one_of(batches, runs), min_size=1, max_size=14))
async def test_after_any_history_every_answer_is_right_or_refused(
    database: asyncpg.Connection, history: list[Batch | Run]
) -> None:
    await database.execute("DELETE FROM ws_events; DELETE FROM topics; DELETE FROM tags")
    model, now = JournalledTopic(database, TAGS), START
    for step in history:
        if len(step) == 2:
            changes, later_s = step
            now += later_s * SECOND
            await model.commit(changes, now)
            continue
        kept_s, kept_events, slice_ = step
        before = now - kept_s * SECOND
        due = due_floor(model, await floor_of(database), before, kept_events)
        while await forget_slice(database, TAGS, before, kept_events=kept_events, slice_=slice_) is not None:
            await nothing_is_kept_in_vain(database, model)
        assert due == await floor_of(database)
        await told_rightly(database, model)
    await told_rightly(database, model)
    await nothing_is_kept_in_vain(database, model)


async def filled(database: asyncpg.Connection, topic: Topic, events: int) -> JournalledTopic:
    """Give a topic of two records with so many events, one a second."""
    model = JournalledTopic(database, topic)
    for number in range(events):
        await model.commit([("ab"[number % 2], "put")], START + number * SECOND)
    return model


async def test_a_run_takes_the_old_events_of_every_topic(database: asyncpg.Connection, database_url: str) -> None:
    others = Topic("w_2", "tags")
    async with await create_pool(database_url, size=2) as pool:
        for topic, events in ((TAGS, 1010), (others, 505), (Topic("w_3", "tags"), 20)):
            await filled(database, topic, events)
        kept = Journal(events_retention_s=1)
        await forget_events(pool, kept, START + dt.timedelta(days=1))
    assert 510 == await floor_of(database)
    assert [509, 510, *range(511, 1011)] == await ids(database)
    assert 5 == await floor_of(database, others)
    assert [4, 5, *range(6, 506)] == await ids(database, others)
    assert 0 == await floor_of(database, Topic("w_3", "tags"))
    assert list(range(1, 21)) == await ids(database, Topic("w_3", "tags"))


async def test_workspaces_that_have_most_events_give_way(database: asyncpg.Connection) -> None:
    for workspace_id, events in (("w_1", 20), ("w_2", 8), ("w_3", 10)):
        await filled(database, Topic(workspace_id, "tags"), events)
    for most, expected in (
        (38, {}),
        (37, {"w_1": 1}),
        (28, {"w_1": 10}),
        (27, {"w_1": 11, "w_3": 1}),
        (8, {"w_1": 18, "w_2": 6, "w_3": 8}),
    ):
        after_s = {name: (moment - START) / SECOND for name, moment in (await too_many_before(database, most)).items()}
        assert expected == after_s


async def test_flood_of_a_workspace_leaves_the_events_of_others(
    database: asyncpg.Connection, database_url: str
) -> None:
    others = Topic("w_2", "tags")
    await filled(database, others, 600)
    await filled(database, TAGS, 1210)
    async with await create_pool(database_url, size=2) as pool:
        await forget_events(pool, Journal(events_retention_s=86_400, events_max=1_200), START)
    assert (0, 600) == (await floor_of(database, others), len(await ids(database, others)))
    assert 610 == await floor_of(database)


@given(counts=st.lists(st.integers(1, 50), max_size=8), most=st.integers(8, 200))
def test_share_is_the_greatest_that_keeps_within_the_bound(counts: list[int], most: int) -> None:
    share = fair_share(counts, most)
    if share is None:
        assert sum(counts) <= most
    else:
        assert sum(min(count, share) for count in counts) <= most < sum(min(count, share + 1) for count in counts)


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq closes its pool in the old way
async def test_the_upkeep_of_the_worker_lets_go(
    database: asyncpg.Connection, database_url: str, redis_url: str
) -> None:
    await filled(database, TAGS, 503)
    stopping = asyncio.Event()

    async def has_let_go() -> bool:
        return await floor_of(database) == 3

    async with await create_pool(database_url, size=2) as pool, asyncio.TaskGroup() as group:
        group.create_task(Jobs(redis_url, pool, Journal(events_retention_s=1), History()).run(stopping))
        queue = await arq.create_pool(RedisSettings.from_dsn(redis_url), job_serializer=msgspec.msgpack.encode)
        try:
            await queue.enqueue_job("cron:forget_old_events")
            await until(has_let_go)
        finally:
            await queue.aclose(close_connection_pool=True)
            stopping.set()
