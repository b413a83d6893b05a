"""Who a client is, or that it cannot be told now: the identities of PostgreSQL as connections need them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import asyncpg

from shared.errors import RetryLater
from shared.io.faults import LOST_CONNECTION
from shared.io.identity import Identity, Memberships
from shared.tokens import Principal

TIMEOUT_S = 5.0
_RETRY_AFTER_S = 2.0


class Authenticator(Protocol):
    """What connections ask; raises Rejected for a bad token, RetryLater when there is no answer now."""

    async def authenticate(self, token: str) -> Principal:
        """Return who sent this token."""
        ...

    async def standing(self, ids: Iterable[str]) -> Mapping[str, Memberships]:
        """Return those of the sessions and API tokens that still stand, with the memberships that they lead to."""
        ...

    def forget(self, user_ids: Collection[str] | None) -> None:
        """Take nothing that is remembered of these users, None for all, for true any more."""
        ...


class DatabaseAuthenticator:
    """Asks PostgreSQL; a database that does not answer is a passing fault."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def authenticate(self, token: str) -> Principal:
        """Return who sent this token; raises Unauthenticated, RetryLater."""
        async with _within_time():
            return await self._identity.authenticate(token)

    async def standing(self, ids: Iterable[str]) -> Mapping[str, Memberships]:
        """Return those of the sessions and API tokens that still stand; raises RetryLater."""
        async with _within_time():
            return await self._identity.standing(ids)

    def forget(self, user_ids: Collection[str] | None) -> None:
        """Look these users, None for all, up again."""
        self._identity.forget(user_ids)


@asynccontextmanager
async def _within_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except (*LOST_CONNECTION, asyncpg.PostgresError, TimeoutError) as error:
        raise RetryLater("tokens cannot be checked at the moment", retry_after_s=_RETRY_AFTER_S) from error
