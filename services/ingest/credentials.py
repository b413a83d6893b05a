"""Who an agent is: decided by the secret that it sends, never by what it says."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from hashlib import sha256
from typing import Self

import asyncpg
import msgspec

from services.ingest.lookups import (
    MAX_LOOKED_UP_AT_ONCE,
    MAX_REMEMBERED,
    MAX_REMEMBERED_UNKNOWN,
    MEMORY_S,
    UNKNOWN_MEMORY_S,
    Gathering,
)
from shared.errors import MusterError, Unauthenticated
from shared.expiring import ExpiringMemory
from shared.io.database.queries import queries
from shared.names import Topic, deadline_of

_SCHEME = b"bearer "
_LONGEST_SECRET = 200


class AgentIdentity(msgspec.Struct, frozen=True):
    """An agent that has proven who it is, with the names that everything of its server goes by."""

    agent_id: str
    server_id: str
    workspace_id: str
    metrics: Topic
    servers: Topic
    deadline: str

    @classmethod
    def of(cls, agent_id: str, server_id: str, workspace_id: str) -> Self:
        """Derive the names."""
        metrics, servers = Topic(workspace_id, "metrics"), Topic(workspace_id, "servers")
        return cls(agent_id, server_id, workspace_id, metrics, servers, deadline_of(workspace_id, server_id))


Refusal = Callable[[], MusterError]
"""Makes the error with which a request is refused, anew for each."""

_UNKNOWN: Refusal = partial(Unauthenticated, "this secret is not known")
_REVOKED: Refusal = partial(Unauthenticated, "this agent was removed", code="credential_revoked")


def hash_secret(secret: str | bytes) -> bytes:
    """Return that by which a secret is stored and found: it has 256 random bits, so that no salt is needed."""
    return sha256(secret if isinstance(secret, bytes) else secret.encode()).digest()


def secret_hash_of(authorization: bytes) -> bytes:
    """Return the hash of the secret in the value of an `Authorization` header; raises Unauthenticated."""
    if authorization[:7].lower() != _SCHEME or len(authorization) > _LONGEST_SECRET:
        raise Unauthenticated("an agent sends `Authorization: Bearer <its secret>`")
    return sha256(authorization[7:]).digest()


class Credentials:
    """Tells agents by their secrets. Looks up many at once: while one query is under way, others wait for the next.

    `taken_up` is called with the agents who have used the secret that was to replace the one before it.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        taken_up: Callable[[Collection[str]], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._taken_up = taken_up
        self._known: ExpiringMemory[bytes, AgentIdentity] = ExpiringMemory(
            capacity=MAX_REMEMBERED, lifetime_s=MEMORY_S, clock=clock
        )
        self._refused: ExpiringMemory[bytes, Refusal] = ExpiringMemory(
            capacity=MAX_REMEMBERED_UNKNOWN, lifetime_s=UNKNOWN_MEMORY_S, clock=clock
        )
        self._gathering = Gathering(self._query)
        self._changes = 0

    def recall(self, authorization: bytes) -> AgentIdentity | None:
        """Return the agent behind the value of an `Authorization` header, if it is remembered: the fast way."""
        return self._known.get(secret_hash_of(authorization))

    async def authenticate(self, authorization: bytes) -> AgentIdentity:
        """Return the agent behind the value of an `Authorization` header.

        Raises Unauthenticated (with the code `credential_revoked` where that is why), and RetryLater while it cannot
        be told.
        """
        secret_hash = secret_hash_of(authorization)
        known = self._known.get(secret_hash)
        if known is not None:
            return known
        refused = self._refused.get(secret_hash)
        found = await self._gathering.get(secret_hash) if refused is None else refused
        if isinstance(found, AgentIdentity):
            return found
        refusal = found or _UNKNOWN
        raise refusal()

    def forget(self, agent_ids: Collection[str] | None) -> None:
        """Look the credentials of these agents, None for all, up again when they are next used."""
        self._changes += 1
        self._known.forget_where(lambda known: agent_ids is None or known.agent_id in agent_ids)

    async def standing(self, secret_hashes: Sequence[bytes]) -> set[bytes]:
        """Return those by which an agent may come in now, whatever is remembered; raises what PostgreSQL does."""
        standing: set[bytes] = set()
        for first in range(0, len(secret_hashes), MAX_LOOKED_UP_AT_ONCE):
            found = await self._query(list(secret_hashes[first : first + MAX_LOOKED_UP_AT_ONCE]))
            standing |= {one for one, outcome in found.items() if isinstance(outcome, AgentIdentity)}
        return standing

    async def _take_up(self, secret_hashes: list[bytes]) -> None:
        """Let secrets replace those before them, which are void from now on."""
        rows = queries("agent_identity").take_up_secrets(self._pool, secret_hashes=secret_hashes)
        agent_ids = {row["agent_id"] async for row in rows}
        self._known.forget_where(lambda known: known.agent_id in agent_ids)
        if self._taken_up is not None:
            await self._taken_up(agent_ids)

    async def _query(self, secret_hashes: list[bytes]) -> dict[bytes, AgentIdentity | Refusal]:
        changes = self._changes
        async with self._pool.acquire() as connection:
            rows = [r async for r in queries("enrolment").find_credentials(connection, secret_hashes=secret_hashes)]
        offered = [row["secret_hash"] for row in rows if row["offered"] and not row["revoked"]]
        if offered:
            await self._take_up(offered)
        found: dict[bytes, AgentIdentity | Refusal] = dict.fromkeys(secret_hashes, _UNKNOWN)
        for row in rows:
            identity = AgentIdentity.of(row["agent_id"], row["server_id"], row["workspace_id"])
            found[row["secret_hash"]] = _REVOKED if row["revoked"] else identity
        for secret_hash, outcome in found.items():
            if isinstance(outcome, AgentIdentity):
                if changes == self._changes:  # else it may have been read before a change that is forgotten already
                    self._known.store(secret_hash, outcome)
            else:
                self._known.forget(secret_hash)
                self._refused.store(secret_hash, outcome)
        return found
