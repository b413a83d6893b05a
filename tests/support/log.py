"""Opens the change log for tests that run without a guardian, and reads its end."""

from collections.abc import Mapping

from redis.asyncio import Redis

from shared.change import ChangeSet
from shared.io.changelog.read import LogReader
from shared.io.changelog.script import OPEN, SEAL, append_script
from shared.names import PARTITIONS, PartitionKeys, Topic, partition_of

States = Mapping[Topic, tuple[int, Mapping[str, bytes]]]
"""The version and the records of topics, each record as `<version> <data>`."""


async def open_log(redis: Redis, *, epoch: int = 1, partitions: int = PARTITIONS) -> None:
    """Open an epoch of every partition with an empty state, as the guardian of an empty database would."""
    for partition in range(partitions):
        await seal_partition(redis, partition, epoch)
        await open_partition(redis, partition, epoch, {})


async def seal_partition(redis: Redis, partition: int, epoch: int) -> None:
    """Close a partition until `epoch` is opened: nothing can be appended meanwhile."""
    assert await redis.eval(SEAL, 1, PartitionKeys(partition).prefix, str(epoch)) == 1  # type: ignore[misc]  # redis-py types it for both of its clients


async def open_partition(redis: Redis, partition: int, epoch: int, states: States) -> None:
    """Open an epoch of a sealed partition with these states, as the guardian does with those of its database."""
    text, _ = append_script(partition, epoch)
    await redis.script_load(text)
    prefix = PartitionKeys(partition).prefix
    for topic, (version, records) in states.items():
        await redis.hset(f"{prefix}new:{epoch}:versions", str(topic), str(version))  # type: ignore[misc]  # redis-py types it for both of its clients
        if records:
            await redis.hset(f"{prefix}new:{epoch}:state:{topic}", mapping=dict(records))  # type: ignore[misc]  # likewise
    assert await redis.eval(OPEN, 1, prefix, str(epoch), str(epoch)) == 1  # type: ignore[misc]  # likewise


async def recent(redis: Redis, topic: Topic, *, entries: int) -> list[ChangeSet]:
    """Return the topic's change sets among the newest `entries` entries of its partition, oldest first."""
    partition = partition_of(topic.workspace_id)
    found = await LogReader(redis).recent_by_topic(partition, entries=entries, size_bytes=1_000_000_000)
    return found.get(topic, [])
