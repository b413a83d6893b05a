"""Builds the hot state of a partition from PostgreSQL, beside the live one, for the guardian to put in place.

The keys are staged under `new:<epoch>:` and expire by themselves if the guardian dies before it opens the epoch.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

import msgspec
from asyncpg import Connection
from redis.asyncio import Redis

from shared.io.changelog.script import REMEMBER
from shared.io.database.queries import queries
from shared.io.database.records import read_records
from shared.names import PartitionKeys, Topic, deadline_of, held_deadline_of
from shared.position import Position
from shared.resources import METRICS, RESOURCES, SERVERS
from shared.topic import Record

_STAGED_FOR_S = 3600
_SLICE = 500
_MEMBER = {"online": deadline_of, "unknown": held_deadline_of}


class _WithStatus(msgspec.Struct):
    status: str


async def stage(redis: Redis, connection: Connection, partition: int, *, epoch: int, offline_after_ms: int) -> None:
    """Stage states, versions, samples, unique indexes and deadlines of an epoch.

    Every server that is not offline gets a fresh deadline: while the log was away, its agent could not be heard.
    """
    keys = PartitionKeys(partition)
    stage = _Stage(redis, f"{keys.prefix}new:{epoch}:")
    expected: list[str] = []
    sql = queries("checkpoints")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        versions = {
            Topic(row["workspace_id"], row["resource"]): row["version"]
            async for row in sql.topics_of_partition(connection, partition=partition)
        }
        for topic in versions:
            records = await read_records(connection, topic)
            await stage.fill(f"state:{topic}", {r.id: b"%d %b" % (r.version, r.data) for r in records})
            await _stage_indexes(stage, topic, records)
            if topic.resource == METRICS.name:
                rows = sql.sample_windows(connection, workspace_id=topic.workspace_id)
                windows = {f"{topic}:{row['id']}": row["sample_window"] async for row in rows}
                await stage.fill("samples", windows)
            if topic.resource == SERVERS.name:
                expected += _deadlines(topic, records)
    await stage.fill("versions", {str(topic): str(version) for topic, version in versions.items()})
    # last, so that all that took its time takes none of the agents'
    now_s, _ = await redis.time()
    await stage.arm(expected, now_s * 1000 + offline_after_ms)


class _Stage:
    """Writes keys under a prefix, in slices that do not hold up the server, with a time to live."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def fill(self, name: str, fields: Mapping[str, bytes | str]) -> None:
        """Set the fields of a hash."""
        pairs = iter(fields.items())
        while part := dict(islice(pairs, _SLICE)):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(self._prefix + name, mapping=part)
                pipe.expire(self._prefix + name, _STAGED_FOR_S)
                await pipe.execute()

    async def arm(self, members: Iterable[str], deadline_ms: int) -> None:
        """Set the deadline of each member."""
        rest = iter(members)
        while part := list(islice(rest, _SLICE)):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(self._prefix + "deadlines", dict.fromkeys(part, deadline_ms))
                pipe.expire(self._prefix + "deadlines", _STAGED_FOR_S)
                await pipe.execute()


async def _stage_indexes(stage: _Stage, topic: Topic, records: list[Record]) -> None:
    for field in RESOURCES[topic.resource].unique:
        claimed = ((r.id, str(msgspec.json.decode(r.data)[field])) for r in records)
        values = {record_id: value for record_id, value in claimed if value}
        await stage.fill(f"unique:{topic}:{field}", {value: record_id for record_id, value in values.items()})
        await stage.fill(f"unique:{topic}:{field}:of", values)


def _deadlines(topic: Topic, records: list[Record]) -> Iterable[str]:
    """Yield the members to arm: the agents that were heard, and the servers that are held back as unknown."""
    decode = msgspec.json.Decoder(_WithStatus).decode
    for record in records:
        member = _MEMBER.get(decode(record.data).status)
        if member is not None:
            yield member(topic.workspace_id, record.id)


async def remember(redis: Redis, connection: Connection, partition: int, *, epoch: int, fence: int) -> bool:
    """Set the first results of operations as `epoch` vouches for them; False when a later guardian was here."""
    prefix = PartitionKeys(partition).prefix
    rest = iter([row async for row in queries("checkpoints").operations_of_partition(connection, partition=partition)])
    while part := list(islice(rest, _SLICE)):
        arguments = [str(fence)]
        for row in part:
            result = f"{Position(row['epoch'], row['seq'])} {row['prev']} {row['version']} {epoch}"
            arguments += (row["id"], result, str(max(1, row["remember_ms"])))
        if not await redis.eval(REMEMBER, 1, prefix, *arguments):  # type: ignore[misc]  # redis-py types it for both of its clients
            return False
    return True
