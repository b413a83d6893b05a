"""Opens the change log for tests that run without a guardian."""

from redis.asyncio import Redis

from shared.io.changelog.script import OPEN, SEAL, append_script
from shared.names import PARTITIONS, PartitionKeys


async def open_log(redis: Redis, *, epoch: int = 1, partitions: int = PARTITIONS) -> None:
    """Open an epoch of every partition with an empty state, as the guardian of an empty database would."""
    for partition in range(partitions):
        text, _ = append_script(partition, epoch)
        await redis.script_load(text)
        prefix, fence = PartitionKeys(partition).prefix, str(epoch)
        assert await redis.eval(SEAL, 1, prefix, fence) == 1  # type: ignore[misc]  # redis-py types it for both of its clients
        assert await redis.eval(OPEN, 1, prefix, fence, str(epoch)) == 1  # type: ignore[misc]  # likewise
