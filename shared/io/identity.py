"""Who a caller is: tokens checked against the signing keys, the sessions and the API tokens in PostgreSQL."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime

import asyncpg
import msgspec

from shared.errors import Unauthenticated
from shared.expiring import ExpiringMemory
from shared.io.database.queries import queries
from shared.io.signing_keys import SigningKeys
from shared.tokens import (
    API_TOKEN_PREFIX,
    MAX_TOKEN_CHARACTERS,
    Claims,
    Membership,
    Principal,
    decode_token,
    hash_token,
    key_id_of,
    scoped_role,
)

LOGIN_MEMORY_S = 5.0
"""How long a revoked session or token, or a changed role, may still be taken for what it was where nobody said so."""

MAX_REMEMBERED_LOGINS = 10_000

Memberships = tuple[Membership, ...]


def utc_now() -> datetime:
    """Return the time as tokens and sessions know it."""
    return datetime.now(UTC)


class Identity:
    """Tells callers by their tokens; one for each process."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys = SigningKeys(pool, clock=clock)
        self._pool = pool
        self._now = now
        # sessions by their id, API tokens by their hash
        self._logins: ExpiringMemory[str | bytes, Principal] = ExpiringMemory(
            capacity=MAX_REMEMBERED_LOGINS, lifetime_s=LOGIN_MEMORY_S, clock=clock
        )
        self._forgotten = 0
        # checking a signature takes longer than all the rest, and a client sends the same token many times
        self._tokens: ExpiringMemory[str, Claims] = ExpiringMemory(
            capacity=MAX_REMEMBERED_LOGINS, lifetime_s=LOGIN_MEMORY_S, clock=clock
        )

    async def authenticate(self, token: str) -> Principal:
        """Return who sent this access token or API token.

        Raises Unauthenticated when it is malformed, forged, expired or revoked, or its session was; RetryLater and the
        errors of asyncpg when that cannot be told now.
        """
        if token.startswith(API_TOKEN_PREFIX):
            return await self._program(token)
        claims = self._tokens.get(token)
        if claims is None or claims.expires_at <= self._now():
            claims = decode_token(token, await self.keys.secrets(key_id_of(token)), self._now())
            self._tokens.store(token, claims)
        session = await self._login(claims.session_id, lambda: self._find_session(claims.session_id))
        if session is None or session.user_id != claims.user_id:
            raise Unauthenticated("the session has ended", code="session_ended")
        assert session.expires_at is not None  # noqa: S101  (sessions end)
        return msgspec.structs.replace(session, expires_at=min(claims.expires_at, session.expires_at))

    async def standing(self, ids: Iterable[str]) -> dict[str, Memberships]:
        """Return those of the sessions and API tokens that stand, with the memberships that they lead to now.

        Open streams of the others are to be closed. Ids are those of `Principal.session_id`.
        """
        found: dict[str, Memberships] = {}
        async for row in queries("identity").standing_logins(self._pool, ids=list(set(ids))):
            found[row["id"]] = (*found.get(row["id"], ()), *_memberships(row))
        return found

    def forget(self, user_ids: Collection[str] | None) -> None:
        """Look the logins of these users, None for all, up again when they are next used."""
        self._forgotten += 1
        self._logins.forget_where(lambda login: user_ids is None or login.user_id in user_ids)

    async def _program(self, token: str) -> Principal:
        known = None
        if len(token) <= MAX_TOKEN_CHARACTERS:
            token_hash = hash_token(token)
            known = await self._login(token_hash, lambda: self._find_api_token(token_hash))
        if known is None:
            raise Unauthenticated("the API token is unknown, revoked or over")
        return known

    async def _login(self, key: str | bytes, find: Callable[[], Awaitable[Principal | None]]) -> Principal | None:
        known = self._logins.get(key)
        while known is None:
            forgotten = self._forgotten
            known = await find()
            if known is None:
                return None
            if forgotten == self._forgotten:
                self._logins.store(key, known)
            else:  # it may have been read before what has changed meanwhile
                known = None
        return known if known.expires_at is None or known.expires_at > self._now() else None

    async def _find_session(self, session_id: str) -> Principal | None:
        rows = [row async for row in queries("identity").find_session(self._pool, session_id=session_id)]
        if not rows:
            return None
        memberships = tuple(membership for row in rows for membership in _memberships(row))
        first = rows[0]
        return Principal(first["user_id"], session_id, first["expires_at"], memberships, is_admin=first["is_admin"])

    async def _find_api_token(self, token_hash: bytes) -> Principal | None:
        row = await queries("identity").find_api_token(self._pool, token_hash=token_hash)
        if row is None:
            return None
        return Principal(row["user_id"], row["id"], row["expires_at"], _memberships(row), is_program=True)


def _memberships(row: asyncpg.Record) -> Memberships:
    """Return the membership of a row, if it has one: what an API token leaves of it, where there is one."""
    if row["role"] is None:
        return ()
    scopes = row.get("scopes")
    role = row["role"] if scopes is None else scoped_role(row["role"], scopes)
    return (Membership(row["workspace_id"], row["name"], role),)
