"""Who agents are: their credentials are rotated and revoked, and machines that lost theirs are let in again."""

from datetime import datetime
from functools import partial
from http import HTTPStatus

import asyncpg
import msgspec

from services.api.permissions import Caller
from services.api.recording import record_by
from shared.audit import Details, Origin
from shared.errors import NotFound
from shared.io.database.queries import queries
from shared.io.identity_changes import AgentChanges
from shared.io.problem import HttpError
from shared.names import is_id
from shared.resources.declaration import Line, Time

APPROVED_FOR_S = 3600
"""How long a machine may take to enrol again once that was approved."""

MOST_CLAIMS = 1000

_SQL = queries("agent_identity")
_record = partial(record_by, resource="agents")


class Claim(msgspec.Struct, frozen=True):
    """A machine that says it is an agent, and has no secret to show.

    `claimed_at` is when it first said so, and moves when another machine, or another address, says so instead.
    """

    claimed_at: datetime
    machine_id: str
    hostname: str
    address: str
    approved_until: datetime | None


class SeenClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claim that a person has looked at: its fields, as they were read."""

    machine_id: Line
    claimed_at: Time


class AgentIdentity(msgspec.Struct, frozen=True):
    """What is known of an agent's credential; never a secret."""

    agent_id: str
    server_id: str
    hostname: str
    machine_id: str
    enrolled_at: datetime
    rotated_at: datetime | None
    rotation_wanted: bool
    revoked_at: datetime | None
    claim: Claim | None


class ClaimList(msgspec.Struct, frozen=True):
    """The claims of a workspace, the newest first, 1,000 at most."""

    items: list[AgentIdentity]


class AgentIdentities:
    """Changes what agents prove themselves with. All methods raise NotFound for an agent of another workspace."""

    def __init__(self, pool: asyncpg.Pool, agent_changes: AgentChanges) -> None:
        self._pool = pool
        self._agent_changes = agent_changes

    async def read(self, caller: Caller, agent_id: str) -> AgentIdentity:
        """Return what is known of an agent."""
        row = None
        if is_id(agent_id):
            row = await _SQL.agent_identity(self._pool, workspace_id=caller.workspace_id, agent_id=agent_id)
        if row is None:
            raise _unknown()
        return _identity(row)

    async def claims(self, caller: Caller) -> list[AgentIdentity]:
        """Return the agents that were claimed."""
        rows = _SQL.list_claims(self._pool, workspace_id=caller.workspace_id, most=MOST_CLAIMS)
        return [_identity(row) async for row in rows]

    async def approve(self, caller: Caller, agent_id: str, seen: SeenClaim, origin: Origin) -> AgentIdentity:
        """Let the machine that claims an agent enrol as it; its secret until then is void from that moment.

        Raises HttpError 409 where nobody claims it, or where the claim is not the one that was seen: who else has an
        enrolment token may have taken its place meanwhile.
        """
        identity = await self.read(caller, agent_id)
        claim = identity.claim
        if claim is None or identity.revoked_at is not None:
            raise _not_claimed()
        if SeenClaim(claim.machine_id, claim.claimed_at) != seen:
            raise _claim_changed()
        named = {"workspace_id": caller.workspace_id, "agent_id": agent_id}
        seen_fields = {"machine_id": claim.machine_id, "claimed_at": claim.claimed_at}
        async with self._pool.acquire() as connection, connection.transaction():
            if not await _SQL.approve_claim(connection, **named, **seen_fields, for_s=APPROVED_FOR_S):
                raise _claim_changed()
            details: Details = {"machine_id": claim.machine_id, "address": claim.address}
            await _record(connection, caller, "claim_approved", agent_id, origin=origin, details=details)
        return await self.read(caller, agent_id)

    async def refuse(self, caller: Caller, agent_id: str, origin: Origin) -> None:
        """Forget a claim, and an approval that was not made use of; raises HttpError 409 where there is none."""
        await self.read(caller, agent_id)
        async with self._pool.acquire() as connection, connection.transaction():
            if not await _SQL.refuse_claim(connection, workspace_id=caller.workspace_id, agent_id=agent_id):
                raise _not_claimed()
            await _record(connection, caller, "claim_refused", agent_id, origin=origin)

    async def rotate(self, caller: Caller, agent_id: str, origin: Origin) -> AgentIdentity:
        """Ask an agent to take another secret; raises HttpError 409 for one that was revoked."""
        await self.read(caller, agent_id)
        async with self._pool.acquire() as connection, connection.transaction():
            if not await _SQL.want_rotation(connection, workspace_id=caller.workspace_id, agent_id=agent_id):
                raise HttpError(HTTPStatus.CONFLICT, "credential_revoked", "this agent's credential was revoked")
            await _record(connection, caller, "rotation_wanted", agent_id, origin=origin)
        await self._agent_changes.announce([agent_id])
        return await self.read(caller, agent_id)

    async def revoke(self, caller: Caller, agent_id: str, origin: Origin) -> AgentIdentity:
        """Take an agent its credential; again for one that has none, that changes nothing."""
        await self.read(caller, agent_id)
        async with self._pool.acquire() as connection, connection.transaction():
            if await _SQL.revoke_agent(connection, workspace_id=caller.workspace_id, agent_id=agent_id):
                await _record(connection, caller, "revoked", agent_id, origin=origin)
        await self._agent_changes.announce([agent_id])
        return await self.read(caller, agent_id)


def _unknown() -> NotFound:
    return NotFound("there is no such agent")


def _not_claimed() -> HttpError:
    return HttpError(HTTPStatus.CONFLICT, "not_claimed", "no machine claims this agent")


def _claim_changed() -> HttpError:
    message = "the claim is not the one that you have seen: look at who claims this agent now"
    return HttpError(HTTPStatus.CONFLICT, "claim_changed", message)


def _identity(row: asyncpg.Record) -> AgentIdentity:
    claim = None
    if row["claimed_at"] is not None:
        claim = Claim(
            claimed_at=row["claimed_at"],
            machine_id=row["claim_machine_id"],
            hostname=row["claim_hostname"],
            address=row["claim_address"],
            approved_until=row["approved_until"],
        )
    return AgentIdentity(
        agent_id=row["agent_id"],
        server_id=row["server_id"],
        hostname=row["hostname"],
        machine_id=row["machine_id"],
        enrolled_at=row["created_at"],
        rotated_at=row["rotated_at"],
        rotation_wanted=row["rotation_wanted"],
        revoked_at=row["revoked_at"],
        claim=claim,
    )
