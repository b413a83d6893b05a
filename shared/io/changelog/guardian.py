"""The guardian of a partition: it alone decides that a log may be trusted, and opens a new epoch where it may not.

A guardian holds the partition's advisory lock on the connection that it is given. Everything that a producer needs to
append (the script, the epoch key) comes from it, so a server that restarted, took over or was flushed stays sealed
until a guardian has looked.
"""

import msgspec
import structlog
from asyncpg import Connection
from redis.asyncio import Redis

from shared.errors import MusterError
from shared.io.changelog.read import LogReader
from shared.io.changelog.rebuild import remember, stage
from shared.io.changelog.script import OPEN, SEAL, append_script
from shared.io.database.queries import queries
from shared.names import PartitionKeys
from shared.position import Position
from shared.resources import RESOURCES

log = structlog.get_logger(__name__)


class Overtaken(MusterError):
    """Another guardian has taken the partition: whatever this one was about to do, it must not."""

    code = "overtaken"


class Checkpoint(msgspec.Struct, frozen=True):
    """The last position applied to PostgreSQL, under this guardian's fence.

    `redis_run` names the run of the server on which the epoch was opened.
    """

    position: Position
    fence: int
    redis_run: str


class Guardian:
    """Guards one partition with a connection that holds its lock."""

    def __init__(self, redis: Redis, connection: Connection, partition: int, *, offline_after_ms: int) -> None:
        self._redis = redis
        self._connection = connection
        self.partition = partition
        self._keys = PartitionKeys(partition)
        self._reader = LogReader(redis)
        self._offline_after_ms = offline_after_ms

    async def try_take_over(self) -> Checkpoint | None:
        """Take the partition's lock and raise its fence; None while another process holds the lock."""
        sql = queries("checkpoints")
        if not (await sql.try_lock(self._connection, partition=self.partition))["locked"]:
            return None
        # after PostgreSQL was restored from a backup, Redis may have seen a later guardian
        seen_fence = int(await self._redis.get(self._keys.guardian) or 0)
        row = await sql.take_over(self._connection, partition=self.partition, seen_fence=seen_fence)
        return Checkpoint(Position(row["epoch"], row["seq"]), row["fence"], row["redis_run"])

    async def distrust(self, checkpoint: Checkpoint) -> str | None:
        """Say why the log is not the one that the checkpoint belongs to; None when it is, and open."""
        position = checkpoint.position
        _, sha = append_script(self.partition, position.epoch)
        epoch = await self._redis.get(self._keys.epoch)
        if epoch is None:
            return "no epoch is open"
        if int(epoch) != position.epoch:
            return f"epoch {int(epoch)} is open, not {position.epoch}"
        if not (await self._redis.script_exists(sha))[0]:
            return "the server does not know the append script"
        if await self._run_of_redis() != checkpoint.redis_run:
            return "it is another run of the server"
        last = await self._reader.last_position(self.partition)
        if last is None or last < position:
            return f"the log ends at {last}, before the checkpoint {position}"
        return None

    async def seal(self, checkpoint: Checkpoint) -> None:
        """Close whatever epoch is open, so that the log cannot grow any more; raises Overtaken."""
        if not await self._redis.eval(SEAL, 1, self._keys.prefix, str(checkpoint.fence)):  # type: ignore[misc]  # redis-py types it for both of its clients
            raise Overtaken(f"partition {self.partition}: a later guardian has sealed the log")

    async def open_epoch(self, checkpoint: Checkpoint) -> Checkpoint:
        """Mint the next epoch, rebuild the hot state from PostgreSQL, open the log. The log must be sealed.

        Raises Overtaken.
        """
        run = await self._run_of_redis()
        epoch = await self._mint(checkpoint, run)
        await stage(self._redis, self._connection, self.partition, epoch=epoch, offline_after_ms=self._offline_after_ms)
        if not await remember(self._redis, self._connection, self.partition, epoch=epoch, fence=checkpoint.fence):
            raise Overtaken(f"partition {self.partition}: epoch {epoch} was overtaken before it was opened")
        text, _ = append_script(self.partition, epoch)
        await self._redis.script_load(text)
        uniques = [f"{resource.name}:{field}" for resource in RESOURCES.values() for field in resource.unique]
        if not await self._redis.eval(OPEN, 1, self._keys.prefix, str(checkpoint.fence), str(epoch), *uniques):  # type: ignore[misc]  # redis-py types it for both of its clients
            raise Overtaken(f"partition {self.partition}: epoch {epoch} was overtaken while it was being opened")
        log.info("epoch opened", partition=self.partition, epoch=epoch)
        return Checkpoint(Position(epoch, 0), checkpoint.fence, run)

    async def _mint(self, checkpoint: Checkpoint, run: str) -> int:
        last = await self._reader.last_position(self.partition)
        row = await queries("checkpoints").mint_epoch(
            self._connection,
            partition=self.partition,
            fence=checkpoint.fence,
            epoch=checkpoint.position.epoch,
            old_seq=checkpoint.position.seq,
            seen_epoch=last.epoch if last else 0,
            redis_run=run,
        )
        if row is None:
            raise Overtaken(f"partition {self.partition}: the checkpoint is not ours any more")
        return int(row["epoch"])

    async def _run_of_redis(self) -> str:
        server = await self._redis.info("server")
        replication = await self._redis.info("replication")
        return f"{server['run_id']}:{replication['master_replid']}"
