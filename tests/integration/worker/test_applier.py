"""The appliers against a real Valkey and a real PostgreSQL: exactly once, in order, whatever happens to the log."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.errors import AlreadyExists, LogSealed
from shared.io.changelog import rebuild
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.guardian import Guardian, Overtaken
from shared.io.changelog.read import LogReader
from shared.io.database.pool import connect
from shared.io.redis import open_redis
from shared.names import PartitionKeys, Topic, new_id, partition_of
from shared.operation import Appended, Draft, Operation
from shared.resources import RESOURCES
from tests.support.applier import checkpoint, running_appliers, until
from tests.support.log import open_log
from tests.support.valkey import ValkeyServer

SERVERS = Topic("w_test", "servers")
METRICS = Topic("w_test", "metrics")
WEBSITES = Topic("w_test", "websites")
PARTITION = partition_of("w_test")
SERVER = {
    "name": "web-1",
    "hostname": "web-1",
    "machine_id": "m",
    "status": "online",
    "last_seen": None,
    "tags": ["a"],
    "groups": [],
    "notes": "",
    "hidden": False,
    "position": 0,
    "os": {"name": "Debian", "version": "12", "kernel": "6.1", "arch": "x86_64"},
    "agent_version": "0.1",
    "provider": "",
    "price": None,
    "currency": "",
    "billing_cycle": "",
    "expires_at": None,
    "traffic_limit_bytes": None,
}


def server(**fields: object) -> bytes:
    return json.dumps(SERVER | fields).encode()


def put(topic: Topic, record_id: str, data: bytes, **more: object) -> Operation:
    draft = Draft(id=record_id, action="put", data=data)
    return Operation(topic=topic, drafts=(draft,), actor="test", **{"id": new_id("op"), **more})  # type: ignore[arg-type]  # keyword by keyword


def sample(seq: int, ts: str = "2026-01-01T00:00:00Z", boot: str = "b1", cpu: float = 1.5) -> Operation:
    data = json.dumps({"ts": ts, "boot_id": boot, "seq": seq, "cpu_percent": cpu, "temperatures": {"cpu": 40.5}})
    draft = Draft(id="s_1", action="put", data=data.encode(), sample=(boot, seq))
    return Operation(topic=METRICS, drafts=(draft,), actor="agents")


@pytest.fixture
def redis(empty_redis: Redis) -> Redis:
    return empty_redis


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def applied(database: asyncpg.Connection, result: Appended) -> None:
    async def is_applied() -> bool:
        return await checkpoint(database, PARTITION) == str(result.position)

    await until(is_applied)


async def at_least(acknowledged: list[str], count: int) -> bool:
    return len(acknowledged) >= count


async def test_record_reaches_its_table_with_its_version(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    async with running_appliers(redis, database_url):
        result = await ChangeLog(redis).append(put(SERVERS, "s_1", server()))
        await applied(database, result)
    row = await database.fetchrow("SELECT * FROM servers")
    expected = {"workspace_id": "w_test", "id": "s_1", "version": 1, **SERVER}
    assert expected == {**dict(row), "os": json.loads(row["os"])}


async def test_last_change_of_a_record_wins_and_a_deletion_removes_it(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(put(SERVERS, "s_1", server(name="old")))
        await changes.append(put(SERVERS, "s_2", server(name="gone")))
        await changes.append(
            Operation(topic=SERVERS, id="op-del", actor="test", drafts=(Draft(id="s_2", action="delete"),))
        )
        result = await changes.append(put(SERVERS, "s_1", server(name="new")))
        await applied(database, result)
    rows = await database.fetch("SELECT id, name, version FROM servers")
    assert [("s_1", "new", 4)] == [tuple(row) for row in rows]


async def test_samples_become_history_and_the_latest_one(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(sample(1, "2026-01-01T00:00:00Z", cpu=1))
        await changes.append(sample(2, "2026-01-02T00:00:00Z", cpu=2))
        result = await changes.append(sample(2, "2026-01-02T00:00:00Z", cpu=2))
        assert result.failures[0].code == "duplicate"
        await applied(database, await changes.append(sample(3, "1999-01-02T00:00:00Z", cpu=3)))
    rows = await database.fetch("SELECT seq, cpu_percent, details FROM metrics_history ORDER BY seq")
    assert [(n, float(n), b'{"temperatures": {"cpu": 40.5}}') for n in (1, 2, 3)] == [tuple(row) for row in rows]
    assert await database.fetchval("SELECT cpu_percent FROM metrics") == 3.0
    assert await database.fetchval("SELECT count(*) FROM metrics_history_default") == 1


async def test_poison_is_put_aside_and_undone_while_the_rest_goes_on(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await applied(database, await changes.append(put(SERVERS, "s_1", server(name="good"))))
        operations = [
            put(SERVERS, "s_2", server(name="before")),
            put(SERVERS, "s_1", server(notes="a\0b"), id="op-poison"),
            put(SERVERS, "s_3", server(position=2**40)),
            put(SERVERS, "s_4", server(name="after")),
        ]
        await changes.append_all(operations)

        async def hot_state_is_back() -> bool:
            records = await LogReader(redis).records(SERVERS, ["s_1", "s_3"])
            return "s_3" not in records and json.loads(records["s_1"].data)["name"] == "good"

        await until(hot_state_is_back)
        await applied(database, await changes.append(put(SERVERS, "s_5", server())))
    rows = await database.fetch("SELECT id, name FROM servers ORDER BY id")
    assert [("s_1", "good"), ("s_2", "before"), ("s_4", "after"), ("s_5", "web-1")] == [tuple(row) for row in rows]
    letters = await database.fetch("SELECT record_id, sqlstate, compensated_at IS NULL FROM dead_letters ORDER BY id")
    assert [("s_1", "22P05", False), ("s_3", "22003", False)] == [tuple(row) for row in letters]
    assert await database.fetchval("SELECT rejected FROM operations WHERE id = 'op-poison'") == "not_storable"


async def test_operation_of_which_one_change_is_poison_leaves_nothing(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    data = [server(), server(notes="a\0b"), server()]
    drafts = tuple(Draft(id=f"s_{number}", action="create", data=each) for number, each in enumerate(data))
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(Operation(topic=SERVERS, drafts=drafts, actor="test", id="op-bulk"))
        await until(lambda: nothing_in(redis, SERVERS))
        await applied(database, await changes.append(put(SERVERS, "s_9", server())))
    assert ["s_9"] == [row["id"] for row in await database.fetch("SELECT id FROM servers")]
    assert "not_storable" == await database.fetchval("SELECT rejected FROM operations WHERE id = 'op-bulk'")


async def test_poison_whose_earlier_value_was_taken_is_undone_and_the_rest_goes_on(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    websites = RESOURCES["websites"]

    def website(record_id: str, domain: str, **fields: object) -> Operation:
        data = json.dumps(msgspec.to_builtins(websites.model(primary_domain=domain)) | fields).encode()
        draft = Draft(id=record_id, action="put", data=data, unique=websites.claims(data))
        return Operation(topic=WEBSITES, drafts=(draft,), actor="test", id=new_id("op"))

    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await applied(database, await changes.append(website("s_1", "a.example")))
    await changes.append_all([website("s_1", "b.example", cname="\0"), website("s_2", "a.example")])
    async with running_appliers(redis, database_url):
        await until(lambda: pending(database, 0))
        # the value that was given up is free, the one that was taken is not
        await applied(database, await changes.append(website("s_3", "b.example")))
        with pytest.raises(AlreadyExists):
            await changes.append(website("s_4", "a.example"))
    found = (await LogReader(redis).snapshot(WEBSITES)).records
    domains = {record.id: json.loads(record.data)["primary_domain"] for record in found}
    assert {"s_1": "a.example", "s_2": "a.example", "s_3": "b.example"} == domains
    rows = await database.fetch("SELECT id, primary_domain FROM websites")
    assert domains == dict(map(tuple, rows))


async def nothing_in(redis: Redis, topic: Topic) -> bool:
    return not (await LogReader(redis).snapshot(topic)).records


async def test_many_dead_letters_are_all_undone(redis: Redis, database: asyncpg.Connection, database_url: str) -> None:
    drafts = tuple(Draft(id=f"s_{number}", action="create", data=server(notes="\0")) for number in range(150))
    async with running_appliers(redis, database_url):
        await ChangeLog(redis).append(Operation(topic=SERVERS, drafts=drafts, actor="test"))
        await until(lambda: pending(database, 0))
        assert await nothing_in(redis, SERVERS)
    assert 150 == await database.fetchval("SELECT count(*) FROM dead_letters")


async def pending(database: asyncpg.Connection, count: int) -> bool:
    row = await database.fetchrow(
        "SELECT count(*) AS letters, count(*) FILTER (WHERE compensated_at IS NULL) AS pending FROM dead_letters"
    )
    assert row is not None
    return bool(row["letters"] > 0 and row["pending"] == count)


async def test_stored_times_of_any_zone_and_age_do_not_keep_the_log_sealed(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    await database.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Europe/Berlin'); END $$"
    )
    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        await changes.append(put(SERVERS, "s_1", server(expires_at="9999-12-31T23:59:59Z")))
        await changes.append(put(SERVERS, "s_2", server(expires_at="9999-12-31T23:59:59-14:00")))
        await applied(database, await changes.append(put(SERVERS, "s_3", server())))
        await redis.flushall()
        result = await changes.append(put(SERVERS, "s_4", server()))
        await applied(database, result)
        snapshot = await LogReader(redis).snapshot(SERVERS)
    assert ["s_1", "s_3", "s_4"] == sorted(record.id for record in snapshot.records)


async def test_guardian_that_was_suspended_cannot_open_over_its_successor(redis: Redis, database_url: str) -> None:
    first, second = await connect(database_url), await connect(database_url)
    suspended = Guardian(redis, first, PARTITION, offline_after_ms=60_000)
    checkpoint_of_first = await suspended.try_take_over()
    assert checkpoint_of_first is not None
    await suspended.seal(checkpoint_of_first)
    await first.execute("SELECT pg_advisory_unlock_all()")  # PostgreSQL believes that it is gone
    successor = Guardian(redis, second, PARTITION, offline_after_ms=60_000)
    checkpoint_of_second = await successor.try_take_over()
    assert checkpoint_of_second is not None
    await successor.seal(checkpoint_of_second)
    for late in (suspended.seal, suspended.open_epoch):
        with pytest.raises(Overtaken):
            await late(checkpoint_of_first)
    assert None is await redis.get(PartitionKeys(PARTITION).epoch)
    opened = await successor.open_epoch(checkpoint_of_second)
    assert str(opened.position.epoch).encode() == await redis.get(PartitionKeys(PARTITION).epoch)
    await first.close()
    await second.close()


async def test_redis_that_hangs_keeps_nobody_beyond_their_time(private_valkey: ValkeyServer) -> None:
    redis = open_redis(private_valkey.url)
    await open_log(redis)
    changes = ChangeLog(redis)
    await changes.append(put(SERVERS, "s_0", server()))
    private_valkey.pause()
    began = asyncio.get_running_loop().time()
    drafts = tuple(Draft(id=f"s_{number}", action="put", data=server()) for number in range(200))
    appending = [
        changes.append(Operation(topic=SERVERS, drafts=drafts, actor="test", id=new_id("op")), timeout_s=1)
        for _ in range(5)
    ]
    outcomes = await asyncio.gather(*appending, return_exceptions=True)
    waited_s = asyncio.get_running_loop().time() - began
    private_valkey.resume()
    assert {LogSealed} == {type(outcome) for outcome in outcomes}
    assert waited_s < 3
    await changes.append(put(SERVERS, "s_1", server()))
    await redis.aclose()


async def test_restarted_applier_goes_on_in_the_same_epoch(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await changes.append(put(SERVERS, "s_1", server()))
    result = await changes.append(put(SERVERS, "s_2", server()))
    async with running_appliers(redis, database_url):
        await applied(database, result)
    assert result.position is not None
    assert result.position.epoch == 1
    assert await database.fetchval("SELECT count(*) FROM servers") == 2


async def test_late_samples_become_history_alone_and_are_known_in_a_new_epoch(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        for number in (1, 2, 9, 4, 5):
            result = await changes.append(sample(number, f"2026-01-01T00:0{number}:00Z", cpu=number))
        await applied(database, result)
        assert (3, 3) == (result.prev, result.version)
        await redis.flushall()
        resent = [await changes.append(sample(number)) for number in (4, 9, 3)]
        await applied(database, resent[-1])
    assert [["duplicate"], ["duplicate"], []] == [[f.code for f in r.failures.values()] for r in resent]
    history = await database.fetch("SELECT seq FROM metrics_history ORDER BY seq")
    assert [1, 2, 3, 4, 5, 9] == [row["seq"] for row in history]
    latest = await database.fetchrow("SELECT seq, version, sample_window FROM metrics")
    assert (9, 3, "b1 1-5,9-9") == tuple(latest)


async def test_what_was_taken_in_is_known_in_a_new_epoch_although_samples_without_identity_came_last(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await applied(database, await changes.append(sample(1)))
        # a batch of its own
        result = await changes.append(sample(0, "2026-01-01T00:01:00Z", boot=""))
        await applied(database, result)
        await redis.flushall()
        resent = [await changes.append(sample(number, f"2026-01-01T00:0{number}:00Z")) for number in (1, 2)]
        await applied(database, resent[-1])
    assert [["duplicate"], []] == [[f.code for f in r.failures.values()] for r in resent]
    assert [0, 1, 2] == [row["seq"] for row in await database.fetch("SELECT seq FROM metrics_history ORDER BY seq")]


async def test_flushed_redis_is_rebuilt_from_postgres_in_a_new_epoch(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes, reader = ChangeLog(redis), LogReader(redis)
    async with running_appliers(redis, database_url):
        await changes.append(put(SERVERS, "s_1", server(), id="op-1"))
        await changes.append(sample(7))
        before = await reader.snapshot(SERVERS)
        await applied(database, await changes.append(put(SERVERS, "s_2", server(status="offline"))))
        await applied(database, await changes.append(put(SERVERS, "s_held", server(status="unknown"))))
        await redis.flushall()
        repeated = await changes.append(put(SERVERS, "s_1", server(), id="op-1"))
        resent = await changes.append(sample(7))
        result = await changes.append(put(SERVERS, "s_3", server()))
        await applied(database, result)
        after = await reader.snapshot(SERVERS)
    assert (repeated.repeated, repeated.version) == (True, 1)
    assert resent.failures[0].code == "duplicate"
    assert (result.prev, result.version) == (3, 4)
    assert result.position is not None
    assert (result.position.epoch, result.position.seq) == (2, 1)
    records = {record.id: record for record in after.records}
    assert {"s_1": 1, "s_2": 2, "s_held": 3, "s_3": 4} == {record.id: record.version for record in after.records}
    assert json.loads(before.records[0].data) == json.loads(records["s_1"].data)
    assert await redis.zrange(PartitionKeys(PARTITION).deadlines, 0, -1) == [b"w_test:s_1", b"w_test:s_held:held"]


async def test_entries_that_were_not_applied_survive_a_restart_of_redis(
    private_valkey: ValkeyServer, database: asyncpg.Connection, database_url: str
) -> None:
    redis = open_redis(private_valkey.url)
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await changes.append(put(SERVERS, "s_1", server()))
    await changes.append(put(SERVERS, "s_2", server()))
    private_valkey.kill()
    private_valkey.start()
    with pytest.raises(LogSealed):
        await changes.append(put(SERVERS, "s_9", server()), timeout_s=0.5)
    async with running_appliers(redis, database_url):
        result = await changes.append(put(SERVERS, "s_3", server()))
        await applied(database, result)
    await redis.aclose()
    assert result.position is not None
    assert (result.position.epoch, result.version) == (2, 3)
    rows = await database.fetch("SELECT id, version FROM servers ORDER BY id")
    assert [("s_1", 1), ("s_2", 2), ("s_3", 3)] == [tuple(row) for row in rows]


async def test_killed_redis_during_a_load_loses_nothing_acknowledged(
    private_valkey: ValkeyServer, database: asyncpg.Connection, database_url: str
) -> None:
    redis = open_redis(private_valkey.url)
    acknowledged: list[str] = []

    async def produce(changes: ChangeLog, name: str) -> None:
        for number in range(40):
            operation = put(SERVERS, f"s_{name}_{number}", server())
            await changes.append(operation, timeout_s=20)
            acknowledged.append(operation.drafts[0].id)

    async with running_appliers(redis, database_url):
        changes = ChangeLog(redis)
        producers = asyncio.gather(*(produce(changes, name) for name in "abcd"))
        await until(lambda: at_least(acknowledged, 60))
        private_valkey.kill()
        private_valkey.start()
        await producers
        await applied(database, await changes.append(put(SERVERS, "s_last", server())))
        snapshot = await LogReader(redis).snapshot(SERVERS)
    await redis.aclose()
    stored = {row["id"]: row["version"] for row in await database.fetch("SELECT id, version FROM servers")}
    assert {*acknowledged, "s_last"} == set(stored)
    assert stored == {record.id: record.version for record in snapshot.records}
    assert len(stored) == snapshot.version


async def test_second_applier_waits_and_takes_over(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(running_appliers(redis, database_url))
        async with running_appliers(redis, database_url):
            await applied(database, await changes.append(put(SERVERS, "s_1", server())))
            await first.aclose()
            await applied(database, await changes.append(put(SERVERS, "s_2", server())))
    assert await checkpoint(database, PARTITION) == "1-2"


async def test_lost_database_connection_is_taken_up_again(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await applied(database, await changes.append(put(SERVERS, "s_1", server())))
        await terminate_others(database)
        await applied(database, await changes.append(put(SERVERS, "s_2", server())))
    assert await checkpoint(database, PARTITION) == "1-2"


async def test_database_connections_that_are_lost_at_any_moment_are_taken_up_again(
    redis: Redis, database: asyncpg.Connection, database_url: str
) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        for number in range(60):
            last = await changes.append(put(SERVERS, f"s_{number}", server()))
            await terminate_others(database)
        await applied(database, last)
    assert await database.fetchval("SELECT count(*) FROM servers") == 60
    assert await database.fetchval("SELECT count(*) FROM dead_letters") == 0


async def terminate_others(database: asyncpg.Connection) -> None:
    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_overtaken_applier_cannot_commit(redis: Redis, database: asyncpg.Connection, database_url: str) -> None:
    changes = ChangeLog(redis)
    async with running_appliers(redis, database_url):
        await applied(database, await changes.append(put(SERVERS, "s_1", server())))
        await database.execute("UPDATE checkpoints SET fence = fence + 1 WHERE partition = $1", PARTITION)
        # it finds out at its next commit, starts over with a new fence, and applies what it could not
        await applied(database, await changes.append(put(SERVERS, "s_2", server())))
    assert await database.fetchval("SELECT fence FROM checkpoints WHERE partition = $1", PARTITION) == 3
    assert await database.fetchval("SELECT count(*) FROM servers") == 2


async def test_agents_have_all_their_time_however_long_an_epoch_takes_to_build(
    redis: Redis, database: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_appliers(redis, database_url):
        await applied(database, await ChangeLog(redis).append(put(SERVERS, "s_1", server())))
    steps: list[str] = []
    fill, time = rebuild._Stage.fill, redis.time

    async def noted_fill(stage: rebuild._Stage, name: str, fields: Mapping[str, bytes | str]) -> None:
        steps.append(name)
        await fill(stage, name, fields)

    async def noted_time() -> tuple[int, int]:
        steps.append("time")
        found: tuple[int, int] = await time()
        return found

    connection = await connect(database_url)
    monkeypatch.setattr(rebuild._Stage, "fill", noted_fill)
    monkeypatch.setattr(redis, "time", noted_time)
    await rebuild.stage(redis, connection, PARTITION, epoch=9, offline_after_ms=60_000)
    await connection.close()
    # what deadlines are counted from is read when all the rest is in place
    assert [f"state:{SERVERS}", "versions", "time"] == steps
    assert [b"w_test:s_1"] == await redis.zrange(f"{PartitionKeys(PARTITION).prefix}new:9:deadlines", 0, -1)
