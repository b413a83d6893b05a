"""Whoever waits for a commit is told of it, whether or not the announcement reached them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from shared.io.commits import CommitWaiter, OperationLost, Outcome
from shared.io.database.pool import create_pool
from shared.names import PartitionKeys
from shared.position import Position
from tests.support.applier import until

PARTITION = 3
NEVER_S = 3600.0


@pytest.fixture
def redis(empty_redis: Redis) -> Redis:
    return empty_redis


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url, size=2)
    yield pool
    await pool.close()


class Partition:
    """Commits and announces as an applier does."""

    def __init__(self, redis: Redis, pool: asyncpg.Pool) -> None:
        self._redis = redis
        self._pool = pool
        self._channel = PartitionKeys(PARTITION).applied

    async def commit(self, position: Position, operation_id: str = "", rejected: str | None = None) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO checkpoints (partition, epoch, seq) VALUES ($1, $2, $3) "
                "ON CONFLICT (partition) DO UPDATE SET epoch = $2, seq = $3",
                PARTITION,
                position.epoch,
                position.seq,
            )
            if operation_id:
                await connection.execute(
                    "INSERT INTO operations (id, partition, epoch, seq, prev, version, rejected) "
                    "VALUES ($1, $2, $3, $4, 7, 8, $5)",
                    operation_id,
                    PARTITION,
                    position.epoch,
                    position.seq,
                    rejected,
                )

    async def announce(self, position: Position) -> None:
        async def is_heard() -> bool:
            return int(await self._redis.publish(self._channel, str(position))) > 0

        await until(is_heard)


@pytest.fixture
def partition(redis: Redis, pool: asyncpg.Pool) -> Partition:
    return Partition(redis, pool)


@asynccontextmanager
async def running_waiter(redis: Redis, pool: asyncpg.Pool, poll_interval_s: float) -> AsyncIterator[CommitWaiter]:
    waiter = CommitWaiter(redis, pool, poll_interval_s=poll_interval_s)
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(waiter.run(ending))
        try:
            yield waiter
        finally:
            ending.set()


async def test_an_announcement_answers_who_waits_for_that_position(
    redis: Redis, pool: asyncpg.Pool, partition: Partition
) -> None:
    async with running_waiter(redis, pool, NEVER_S) as waiter, asyncio.TaskGroup() as group:
        first = group.create_task(waiter.wait(PARTITION, Position(1, 5), "o_1"))
        later = group.create_task(waiter.wait(PARTITION, Position(1, 6), "o_2"))
        await partition.commit(Position(1, 5), "o_1")
        await partition.announce(Position(1, 5))
        assert Outcome(Position(1, 5), 7, 8) == await first
        assert not later.done()
        await partition.commit(Position(1, 6), "o_2", "22001")
        await partition.announce(Position(1, 6))
        assert Outcome(Position(1, 6), 7, 8, "22001") == await later


async def test_what_was_applied_before_is_answered_without_another_announcement(
    redis: Redis, pool: asyncpg.Pool, partition: Partition
) -> None:
    async with running_waiter(redis, pool, NEVER_S) as waiter:
        await partition.commit(Position(1, 5), "o_1")
        await partition.announce(Position(1, 5))
        assert await waiter.wait(PARTITION, Position(1, 5), "o_1") is not None
        assert Outcome(Position(1, 4), 0, 0) == await waiter.wait(PARTITION, Position(1, 4))


async def test_a_lost_announcement_delays_only(redis: Redis, pool: asyncpg.Pool, partition: Partition) -> None:
    async with running_waiter(redis, pool, 0.02) as waiter:
        waiting = asyncio.create_task(waiter.wait(PARTITION, Position(1, 5), "o_1"))
        await partition.commit(Position(1, 5), "o_1")
        assert Outcome(Position(1, 5), 7, 8) == await waiting


async def test_an_operation_that_a_new_epoch_did_not_keep_is_lost(
    redis: Redis, pool: asyncpg.Pool, partition: Partition
) -> None:
    async with running_waiter(redis, pool, 0.02) as waiter:
        waiting = asyncio.create_task(waiter.wait(PARTITION, Position(1, 5), "o_1"))
        await partition.commit(Position(2, 0))
        with pytest.raises(OperationLost):
            await waiting


async def test_an_operation_that_was_applied_before_the_new_epoch_is_not_lost(
    redis: Redis, pool: asyncpg.Pool, partition: Partition
) -> None:
    async with running_waiter(redis, pool, 0.02) as waiter:
        waiting = asyncio.create_task(waiter.wait(PARTITION, Position(1, 5), "o_1"))
        await partition.commit(Position(1, 5), "o_1")
        await partition.commit(Position(2, 0))
        assert Outcome(Position(1, 5), 7, 8) == await waiting


async def test_waiting_ends_when_its_time_is_over_and_is_not_remembered(redis: Redis, pool: asyncpg.Pool) -> None:
    async with running_waiter(redis, pool, 0.01) as waiter:
        assert await waiter.wait(PARTITION, Position(1, 5), "o_1", timeout_s=0.02) is None
        other = asyncio.create_task(waiter.wait(PARTITION, Position(1, 9), "o_2"))

        async def only_the_other_is_left() -> bool:
            return ["o_2"] == [waiting.operation_id for _, _, waiting in waiter._waiting[PARTITION]]

        await until(only_the_other_is_left)
        other.cancel()


async def test_a_database_that_is_away_for_a_while_delays_only(
    redis: Redis, pool: asyncpg.Pool, partition: Partition
) -> None:
    async with running_waiter(redis, pool, 0.02) as waiter:
        await partition.commit(Position(1, 5), "o_1")
        await pool.execute("ALTER TABLE operations RENAME TO operations_away")
        waiting = asyncio.create_task(waiter.wait(PARTITION, Position(1, 5), "o_1"))

        async def is_due() -> bool:
            return bool(waiter._due)

        await until(is_due)
        await pool.execute("ALTER TABLE operations_away RENAME TO operations")
        assert Outcome(Position(1, 5), 7, 8) == await waiting


async def test_many_are_answered_together(redis: Redis, pool: asyncpg.Pool, partition: Partition) -> None:
    async with running_waiter(redis, pool, 0.02) as waiter, asyncio.TaskGroup() as group:
        waiting = [group.create_task(waiter.wait(PARTITION, Position(1, seq), f"o_{seq}")) for seq in range(50, 0, -1)]
        for seq in range(1, 51):
            await partition.commit(Position(1, seq), f"o_{seq}")
        positions = [outcome.position.seq for task in waiting if (outcome := await task)]
    assert list(range(50, 0, -1)) == positions
