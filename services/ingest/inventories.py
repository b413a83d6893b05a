"""Keeps what machines are made of: the latest, and how each version of it differs from the one before."""

from datetime import datetime

import asyncpg
import msgspec

from services.ingest.credentials import AgentIdentity
from services.ingest.facts import Facts, difference, facts_of
from services.ingest.messages import Handshake
from shared.errors import RetryLater
from shared.io.database.queries import queries
from shared.io.faults import as_retry_later

KEPT_VERSIONS = 1000
"""So many versions of a server's inventory are kept."""

_ATTEMPTS = 4
_SQL = queries("inventories")


class Inventories:
    """Keeps inventories in PostgreSQL; one that is kept already costs a look at its digest."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def keep(self, identity: AgentIdentity, handshake: Handshake, now: datetime) -> None:
        """Keep what a handshake tells: once this returns, it is committed.

        Raises Rejected for what cannot be kept, and RetryLater while PostgreSQL cannot take it: the agent is not to
        take its handshake for done then, and will repeat it.
        """
        facts = facts_of(handshake)
        try:
            for _ in range(_ATTEMPTS):
                if await self._keep(identity, facts, now):
                    return
        except Exception as error:
            passing = as_retry_later(error)
            if passing is None:
                raise
            raise passing from error
        raise RetryLater("the inventory of this server changes too often", retry_after_s=1)

    async def _keep(self, identity: AgentIdentity, facts: Facts, now: datetime) -> bool:
        """Try to keep facts; return False when another was faster."""
        server = {"workspace_id": identity.workspace_id, "server_id": identity.server_id}
        digest = facts.digest
        kept = await _SQL.kept(self._pool, **server, digest=digest)
        if kept is not None and kept["digest"] == digest:
            return True
        before = None
        if kept is not None:
            before = Facts(msgspec.json.decode(kept["os"]), msgspec.json.decode(kept["inventory"]))
        changes = difference(before, facts)
        return bool(
            await _SQL.keep(
                self._pool,
                **server,
                digest=digest,
                digest_before=kept["digest"] if kept is not None else b"",
                inventory=msgspec.json.encode(facts.inventory),
                os=msgspec.json.encode(facts.os),
                now=now,
                difference=msgspec.json.encode(changes) if changes or before is None else None,
                most=KEPT_VERSIONS,
            )
        )
