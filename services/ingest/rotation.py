"""Rotation: an agent takes another secret. Both are good until the new one is used: a lost answer locks nobody out."""

import secrets
from http import HTTPStatus

import asyncpg
from litestar import post
from litestar.di import NamedDependency

from services.ingest.account import RECORD_COST
from services.ingest.credentials import AgentIdentity, hash_secret
from services.ingest.messages import Rotated
from services.ingest.requests import AgentRequest
from services.ingest.routes import AGENTS_ONLY
from shared.errors import Unauthenticated
from shared.io.database.queries import queries
from shared.io.litestar_problems import documented

_SQL = queries("agent_identity")


class Rotation:
    """Offers agents other secrets."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def offer(self, identity: AgentIdentity) -> str:
        """Return a new secret for an agent; one that was offered before is void.

        Raises Unauthenticated when its credential was revoked a moment ago.
        """
        secret = secrets.token_urlsafe(32)
        if not await _SQL.offer_secret(self._pool, agent_id=identity.agent_id, secret_hash=hash_secret(secret)):
            raise Unauthenticated("this agent was removed", code="credential_revoked")
        return secret


@post(
    "/ingest/v1/rotate",
    operation_id="rotate",
    summary="Take another secret",
    status_code=HTTPStatus.OK,
    security=AGENTS_ONLY,
    responses=documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def rotate(request: AgentRequest, rotation: NamedDependency[Rotation]) -> Rotated:
    """Keep the secret of the answer, then use it: from that moment the one before it is void."""
    request.auth.charge(RECORD_COST - 1)
    return Rotated(await rotation.offer(request.user))
