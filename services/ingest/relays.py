"""Who a relay is, and for which agents it may send: those of its workspace, and no others."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Literal

import asyncpg
import msgspec

from services.ingest.credentials import AgentIdentity
from services.ingest.lookups import Lookups
from shared.io.database.queries import queries
from shared.names import is_id
from shared.tokens import RELAY_TOKEN_PREFIX

_SCHEME = b"bearer "
_BEGINNING = _SCHEME + RELAY_TOKEN_PREFIX.encode()
_LONGEST_TOKEN = 200


class Relay(msgspec.Struct, frozen=True):
    """A relay that has proven who it is; good until `expires_at`, without end where that is None."""

    id: str
    workspace_id: str
    expires_at: datetime | None


class Address(msgspec.Struct, frozen=True):
    """How a sample names its agent: by the id of its server, or by its own."""

    kind: Literal["server", "agent"]
    id: str


_AddressIn = tuple[str, Address]


class Relays:
    """Tells relays by their tokens. `forget` must be told of what has changed, or that is seen some seconds later."""

    def __init__(
        self, pool: asyncpg.Pool, *, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._now = now
        self._sql = queries("relays")
        self._relays: Lookups[bytes, Relay] = Lookups(self._find_relays, clock=clock)
        self._agents: Lookups[_AddressIn, AgentIdentity] = Lookups(self._find_agents, clock=clock)

    async def find(self, authorization: bytes) -> Relay | None:
        """Return the relay behind the value of an `Authorization` header, None when there is none.

        Raises RetryLater while it cannot be told.
        """
        if not may_be_a_relays(authorization):
            return None
        relay = await self._relays.get(sha256(authorization[len(_SCHEME) :]).digest())
        is_over = relay is not None and relay.expires_at is not None and relay.expires_at <= self._now()
        return None if is_over else relay

    async def agents(self, relay: Relay, addresses: Collection[Address]) -> dict[Address, AgentIdentity]:
        """Return those of the agents that are the relay's to send for; raises RetryLater."""
        wanted = [address for address in addresses if is_id(address.id)]
        found = await asyncio.gather(*(self._agents.get((relay.workspace_id, address)) for address in wanted))
        return {address: agent for address, agent in zip(wanted, found, strict=True) if agent is not None}

    def forget(self, ids: Collection[str] | None) -> None:
        """Look these relays and agents, None for all, up again when they are next used."""
        self._relays.forget(lambda relay: ids is None or relay.id in ids)
        self._agents.forget(lambda agent: ids is None or agent.agent_id in ids)

    async def _find_relays(self, hashes: Sequence[bytes]) -> Mapping[bytes, Relay]:
        async with self._pool.acquire() as connection:
            rows = [row async for row in self._sql.find_relays(connection, token_hashes=list(hashes))]
        return {row["token_hash"]: Relay(row["id"], row["workspace_id"], row["expires_at"]) for row in rows}

    async def _find_agents(self, wanted: Sequence[_AddressIn]) -> Mapping[_AddressIn, AgentIdentity]:
        named = {
            "workspace_ids": [workspace_id for workspace_id, _ in wanted],
            "kinds": [address.kind for _, address in wanted],
            "ids": [address.id for _, address in wanted],
        }
        async with self._pool.acquire() as connection:
            rows = [row async for row in self._sql.find_relayed_agents(connection, **named)]
        return {
            (row["workspace_id"], Address(row["kind"], row["id"])): AgentIdentity.of(
                row["agent_id"], row["server_id"], row["workspace_id"]
            )
            for row in rows
        }


def may_be_a_relays(authorization: bytes) -> bool:
    """Whether that could be a relay's; the secret of an agent may look like it, too."""
    return authorization[: len(_BEGINNING)].lower() == _BEGINNING and len(authorization) <= _LONGEST_TOKEN
