"""Enrolling: an enrolment token is traded for an id and a secret of the machine's own."""

import hmac
import secrets
from typing import Any

import asyncpg
import msgspec
import structlog

from services.ingest.credentials import AgentIdentity, Credentials, hash_secret
from services.ingest.messages import Enrolled, Enrolment
from services.ingest.presence import Presence
from services.ingest.registration import Registration
from services.ingest.registrations import registration_of
from shared.errors import AlreadyExists, Forbidden, RetryLater, Unauthenticated
from shared.io.database.queries import queries
from shared.io.faults import as_retry_later
from shared.io.identity_changes import AgentChanges
from shared.names import new_id

log = structlog.get_logger(__name__)
_IDENTITY_SQL = queries("agent_identity")


class Admission(msgspec.Struct, frozen=True):
    """What a good token gives: a place in a workspace, and the groups to be in."""

    workspace_id: str
    groups: tuple[str, ...]


class Proof(msgspec.Struct, frozen=True):
    """What comes with an enrolment beside its body: who says to be an agent already, and from where."""

    authorization: str = ""
    idempotency_key: str = ""
    address: str = ""


class AgentTaken(AlreadyExists):
    """The agent exists, and this machine has not shown that it is it; the token was good for this workspace."""

    def __init__(self, workspace_id: str) -> None:
        message = (
            "this agent_id is taken; its secret proves whose it is. If it is an agent of the workspace that the token "
            "is for, somebody there may approve that it is yours"
        )
        super().__init__(message, code="agent_exists")
        self.workspace_id = workspace_id


class AgentRevoked(AlreadyExists):
    """The agent was one of this workspace, and nobody will be it again."""

    def __init__(self) -> None:
        super().__init__("this agent was revoked; enrol without agent_id, as a new one", code="agent_revoked")


class Enrolments:
    """Enrols agents. `shared_token` is that of the environment; empty when there is none."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        credentials: Credentials,
        presence: Presence,
        agent_changes: AgentChanges,
        *,
        shared_token: str = "",
    ) -> None:
        self._pool = pool
        self._agent_changes = agent_changes
        self._credentials = credentials
        self._presence = presence
        self._shared_token = shared_token
        self._sql = queries("enrolment")

    async def enrol(self, request: Enrolment, proof: Proof) -> Enrolled:
        """Register the machine, and make its records.

        With the same `idempotency_key` and token an enrolment may be repeated until the agent has shaken hands.
        Raises Unauthenticated and Forbidden for a token that is no good, AlreadyExists for an `agent_id` that is
        taken and whose secret `authorization` does not carry: that the machine claims it is kept for people to see,
        and once they have approved it, the machine may enrol as that agent. One that was revoked is not to be had.
        """
        proven = await self._proven(request, proof.authorization)
        secret = secrets.token_urlsafe(32)
        key = proof.idempotency_key
        enrolment_hash = hash_secret(f"{request.token}\n{key}") if key else None
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                row = await self._register(connection, request, proven, hash_secret(secret), enrolment_hash)
        except AgentTaken as error:
            await self._note_claim(request, error.workspace_id, proof.address)
            raise
        registration = registration_of(row)
        if request.agent_id:  # its earlier secret is good for nothing any more, wherever it is remembered
            await self._agent_changes.announce([registration.agent_id])
        await self._introduce(registration)
        return Enrolled(registration.agent_id, secret, registration.server_id, registration.workspace_id)

    async def _proven(self, request: Enrolment, authorization: str) -> AgentIdentity | None:
        """Return the agent that asks to be enrolled again, if it has shown its secret."""
        if not (request.agent_id and authorization):
            return None
        try:
            identity = await self._credentials.authenticate(authorization.encode())
        except Unauthenticated:
            return None
        return identity if identity.agent_id == request.agent_id else None

    async def _register(
        self,
        connection: asyncpg.Connection,
        request: Enrolment,
        proven: AgentIdentity | None,
        secret_hash: bytes,
        enrolment_hash: bytes | None,
    ) -> Any:  # noqa: ANN401  (a row of asyncpg, which has no types)
        if enrolment_hash:
            await self._sql.one_at_a_time(connection, enrolment_hash=enrolment_hash)
            repeated = await self._sql.repeat_enrolment(
                connection, enrolment_hash=enrolment_hash, secret_hash=secret_hash
            )
            if repeated:
                return repeated
        admission = await self._admit(connection, request)
        said = {
            "name": request.name or request.hostname,
            "hostname": request.hostname,
            "machine_id": request.machine_id,
            "groups": list(admission.groups),
            "secret_hash": secret_hash,
            "enrolment_hash": enrolment_hash,
        }
        known = await self._known(connection, request, proven, admission.workspace_id)
        agent_id = known or request.agent_id or new_id("a")
        if known:
            row = await self._sql.renew_credential(connection, agent_id=agent_id, **said)
        else:
            place = {"agent_id": agent_id, "server_id": new_id("s"), "workspace_id": admission.workspace_id}
            row = await self._sql.add_credential(connection, **place, **said)
        if row is None:
            raise await self._why_taken(connection, agent_id, admission.workspace_id)
        return row

    async def _why_taken(
        self, connection: asyncpg.Connection, agent_id: str, workspace_id: str
    ) -> AgentTaken | AgentRevoked:
        """Return why an id is not to be had; one of another workspace is answered like one that is not proven."""
        is_revoked = await _IDENTITY_SQL.is_revoked(connection, agent_id=agent_id, workspace_id=workspace_id)
        return AgentRevoked() if is_revoked else AgentTaken(workspace_id)

    async def _known(
        self, connection: asyncpg.Connection, request: Enrolment, proven: AgentIdentity | None, workspace_id: str
    ) -> str | None:
        """Return the agent that this machine is already, by its secret or because a person said so."""
        if proven and proven.workspace_id == workspace_id:
            return proven.agent_id
        if request.agent_id is None:
            return None
        approved: str | None = await _IDENTITY_SQL.approved_agent(
            connection, agent_id=request.agent_id, workspace_id=workspace_id, machine_id=request.machine_id
        )
        if approved:
            await _IDENTITY_SQL.end_claim(connection, agent_id=approved)
        return approved

    async def _note_claim(self, request: Enrolment, workspace_id: str, address: str) -> None:
        """Keep who claims an agent, if it is one of the workspace that the token is good for."""
        await _IDENTITY_SQL.claim_agent(
            self._pool,
            agent_id=request.agent_id,
            workspace_id=workspace_id,
            machine_id=request.machine_id,
            hostname=request.hostname,
            address=address,
        )

    async def _admit(self, connection: asyncpg.Connection, request: Enrolment) -> Admission:
        """Use the token once; a rollback of the transaction gives it back."""
        if self._shared_token and hmac.compare_digest(request.token.encode(), self._shared_token.encode()):
            workspace_id = await self._sql.oldest_workspace(connection)
            if workspace_id is None:
                raise RetryLater("no workspace has been set up yet", retry_after_s=5)
            return Admission(workspace_id, request.groups)
        token_hash = hash_secret(request.token)
        row = await self._sql.spend_token(connection, token_hash=token_hash)
        if row is None:
            raise await self._why_not(connection, token_hash)
        return Admission(row["workspace_id"], tuple(row["groups"]))

    async def _why_not(self, connection: asyncpg.Connection, token_hash: bytes) -> Unauthenticated | Forbidden:
        row = await self._sql.find_token(connection, token_hash=token_hash)
        if row is None:
            return Unauthenticated("this enrolment token is not known", code="enrolment_token_unknown")
        if not row["is_current"]:
            return Forbidden("this enrolment token has expired", code="enrolment_token_expired")
        return Forbidden("this enrolment token is used up", code="enrolment_token_used_up")

    async def _introduce(self, registration: Registration) -> None:
        identity = AgentIdentity.of(registration.agent_id, registration.server_id, registration.workspace_id)
        try:
            await self._presence.introduce(identity, registration)
        except Exception as error:
            if as_retry_later(error) is None:
                raise
            # the agent must get its secret; the handshake makes the records as well
            log.warning("enrolled without records", agent_id=registration.agent_id, error=str(error))
