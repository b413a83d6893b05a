"""What agents said when they enrolled, looked up."""

from collections.abc import Collection
from typing import Any

import asyncpg

from services.ingest.credentials import AgentIdentity
from services.ingest.registration import Registration
from shared.errors import Unauthenticated
from shared.io.database.queries import queries


class Registrations:
    """Looks registrations up in PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries("enrolment")

    async def of(self, identity: AgentIdentity) -> Registration:
        """Return what an agent said when it enrolled, and end the time in which it could repeat that.

        Raises Unauthenticated when its credential was revoked a moment ago.
        """
        async with self._pool.acquire() as connection:
            row = await self._sql.find_registration(connection, agent_id=identity.agent_id)
            if row is None:
                raise Unauthenticated("this agent was removed", code="credential_revoked")
            if row["is_repeatable"]:
                await self._sql.end_enrolment(connection, agent_id=identity.agent_id)
        return registration_of(row)

    async def holds(self, identity: AgentIdentity) -> bool:
        """Whether an agent's credential has not been revoked."""
        return bool(await self._sql.is_registered(self._pool, agent_id=identity.agent_id))

    async def rotations_wanted(self, agent_ids: Collection[str]) -> set[str]:
        """Return those of the agents of whom a person has asked for another secret, and who have taken none yet."""
        rows = self._sql.rotations_wanted(self._pool, agent_ids=list(agent_ids))
        return {row["agent_id"] async for row in rows}


def registration_of(row: Any) -> Registration:  # noqa: ANN401  (a row of asyncpg, which has no types)
    """Read what an agent said when it enrolled."""
    return Registration(
        agent_id=row["agent_id"],
        server_id=row["server_id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        hostname=row["hostname"],
        machine_id=row["machine_id"],
        groups=tuple(row["groups"]),
        created_at=row["created_at"],
        rotation_wanted=row.get("rotation_wanted", False),
    )
