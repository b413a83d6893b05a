"""Removes the registrations of agents that nobody has heard of for long; their servers stay.

Each removal is a change like any other, and happens only to the version of the record that was read: an agent that
returns at the same moment renews its record, and whichever comes second gives way or makes it anew.
"""

from itertools import islice

import msgspec
import structlog
from redis.asyncio import Redis

from services.sweeper.liveness import is_stale
from shared.errors import Rejected
from shared.io import telemetry
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import PartitionKeys, Topic, new_id
from shared.operation import Draft, Operation
from shared.resources import AGENTS, SERVERS
from shared.resources.agents import Agent
from shared.resources.servers import Server
from shared.topic import Record

_CALL = 200
_REMOVED = telemetry.Counter("muster_sweeper_registrations_removed_total", "Registrations of agents that were stale")

log = structlog.get_logger(__name__)


class Cleanup:
    """Removes what is stale in all partitions."""

    def __init__(self, redis: Redis, changes: ChangeLog, reader: LogReader, *, threshold_s: float) -> None:
        self._redis = redis
        self._changes = changes
        self._reader = reader
        self._threshold_ms = int(threshold_s * 1000)

    async def clean(self, since_ms: int) -> None:
        """Remove what is stale now; `since_ms` is when we began to listen. Raises RedisError, OSError, RetryLater."""
        seconds, _ = await self._redis.time()
        for partition in range(self._reader.partitions):
            for name in await self._redis.hkeys(PartitionKeys(partition).versions):  # type: ignore[misc]  # redis-py types it for both of its clients
                topic = Topic.parse(name.decode())
                if topic.resource == AGENTS.name:
                    await self._remove(topic, await self._stale(topic, int(seconds) * 1000, since_ms))

    async def _stale(self, topic: Topic, now_ms: int, since_ms: int) -> list[Record]:
        records = (await self._reader.snapshot(topic)).records
        agents = {record: msgspec.json.decode(record.data, type=Agent) for record in records}
        servers = await self._reader.records(
            Topic(topic.workspace_id, SERVERS.name), {agent.server_id for agent in agents.values()}
        )

        def server_of(agent: Agent) -> Server | None:
            found = servers.get(agent.server_id)
            return None if found is None else msgspec.json.decode(found.data, type=Server)

        return [
            record
            for record, agent in agents.items()
            if is_stale(now_ms, self._threshold_ms, agent, server_of(agent), since_ms)
        ]

    async def _remove(self, topic: Topic, stale: list[Record]) -> None:
        rest = iter(stale)
        while part := list(islice(rest, _CALL)):
            results = await self._changes.append_all(
                [
                    Operation(
                        topic=topic,
                        drafts=(Draft(id=record.id, action="delete", expect=record.version),),
                        actor="sweeper",
                        id=new_id("op"),
                    )
                    for record in part
                ]
            )
            removed = sum(not isinstance(result, Rejected) for result in results)
            _REMOVED.inc(removed)
            log.info("stale registrations removed", workspace_id=topic.workspace_id, agents=removed)
