"""Which replica holds the stream of which agent, in Redis: one stream an agent, the newest, wherever it is.

What a replica holds is forgotten `HELD_FOR_S` after its last renewal. Each stream gets a generation when it is claimed;
of two streams of one agent that of the greater generation stands.
"""

from collections.abc import Sequence
from importlib.resources import files

import msgspec
from redis.asyncio import Redis

from services.ingest.credentials import AgentIdentity
from shared.names import AGENT_CLAIMS, PartitionKeys, partition_of

HELD_FOR_S = 30.0

_CLAIM, _RENEW, _RELEASE = (
    files(__package__).joinpath(f"{name}.lua").read_text() for name in ("claim", "renew", "release")
)


class Hold(msgspec.Struct, frozen=True):
    """A stream of an agent that was claimed."""

    identity: AgentIdentity
    generation: int


class Holders:
    """What this replica holds. All methods raise what Redis does."""

    def __init__(self, redis: Redis, replica: str) -> None:
        self._redis = redis
        self._replica = replica

    async def claim(self, identity: AgentIdentity) -> Hold:
        """Make a new stream the one of its agent."""
        arguments = (identity.agent_id, self._replica, str(int(HELD_FOR_S * 1000)), AGENT_CLAIMS)
        generation = await self._redis.eval(_CLAIM, 1, _key(identity), *arguments)  # type: ignore[misc]  # redis-py types it for both of its clients
        return Hold(identity, int(generation))

    async def renew(self, holds: Sequence[Hold]) -> list[Hold]:
        """Say that these still stand; return those that a newer stream has taken."""
        by_partition: dict[int, list[Hold]] = {}
        for hold in holds:
            by_partition.setdefault(partition_of(hold.identity.workspace_id), []).append(hold)
        taken: list[Hold] = []
        for own in by_partition.values():
            arguments = (str(int(HELD_FOR_S * 1000)), *map(self._value, own))
            places = await self._redis.eval(_RENEW, len(own), *(_key(one.identity) for one in own), *arguments)  # type: ignore[misc]  # likewise
            taken += [own[place - 1] for place in places]
        return taken

    async def release(self, hold: Hold, *, back_within_ms: int | None = None, heard_for_ms: int = 0) -> bool:
        """Give up a stream; whether it was the newest one of its agent.

        If so, and the agent has not been heard another way since, its server is offline unless it is heard within
        `back_within_ms`; `heard_for_ms` is what is left at most of the deadline that the stream's last message set.
        """
        identity = hold.identity
        keys = PartitionKeys(partition_of(identity.workspace_id))
        back_within = "" if back_within_ms is None else str(back_within_ms)
        arguments = (self._value(hold), identity.deadline, back_within, str(heard_for_ms))
        return bool(await self._redis.eval(_RELEASE, 2, _key(identity), keys.deadlines, *arguments))  # type: ignore[misc]  # likewise

    def _value(self, hold: Hold) -> str:
        return f"{hold.generation} {self._replica}"


def _key(identity: AgentIdentity) -> str:
    return PartitionKeys(partition_of(identity.workspace_id)).holder(identity.agent_id)
