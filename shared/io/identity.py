"""Who a caller is: tokens checked against the signing keys and the sessions in PostgreSQL."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import asyncpg
import msgspec

from shared.errors import RetryLater, Unauthenticated
from shared.expiring import ExpiringMemory
from shared.io.database.queries import queries
from shared.tokens import Membership, Principal, SigningKey, decode_token, key_id_of

SESSION_MEMORY_S = 5.0
"""How long a revoked session, or a changed role, may still be taken for what it was."""

MAX_REMEMBERED_SESSIONS = 10_000
KEYS_MEMORY_S = 60.0
"""How long a key that was deleted may still be accepted."""

KEYS_PAUSE_S = 1.0
"""Tokens with unknown keys make the keys be read again at most this often."""


def utc_now() -> datetime:
    """Return the time as tokens and sessions know it."""
    return datetime.now(UTC)


class SigningKeys:
    """The signing keys, read from PostgreSQL when they are first needed and when a token names an unknown one."""

    def __init__(self, pool: asyncpg.Pool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()
        self._read_at = -KEYS_MEMORY_S

    async def newest(self) -> SigningKey:
        """Return the key to sign with; raises RetryLater while there is none."""
        await self._refresh(KEYS_MEMORY_S)
        if not self._keys:
            await self._refresh(KEYS_PAUSE_S)
        if not self._keys:
            raise RetryLater("no signing key has been set up yet", retry_after_s=5)
        return self._keys[0]

    async def secrets(self, key_id: str) -> Mapping[str, bytes]:
        """Return the known secrets by the id of their key, after another look if `key_id` is not among them."""
        await self._refresh(KEYS_MEMORY_S)
        if all(key.id != key_id for key in self._keys):
            await self._refresh(KEYS_PAUSE_S)
        return {key.id: key.secret for key in self._keys}

    async def _refresh(self, memory_s: float) -> None:
        now = self._clock()
        if now - self._read_at < memory_s:
            return
        rows = [row async for row in queries("identity").signing_keys(self._pool)]
        self._keys = tuple(SigningKey(row["id"], row["secret"]) for row in rows)
        self._read_at = now


class _Standing(msgspec.Struct, frozen=True):
    """A session as it was found; `user_id` is empty when it does not stand."""

    user_id: str
    expires_at: datetime
    memberships: tuple[Membership, ...]


_FALLEN = _Standing("", datetime.min.replace(tzinfo=UTC), ())


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
        self._sessions: ExpiringMemory[str, _Standing] = ExpiringMemory(
            capacity=MAX_REMEMBERED_SESSIONS, lifetime_s=SESSION_MEMORY_S, clock=clock
        )

    async def authenticate(self, token: str) -> Principal:
        """Return who sent this access token.

        Raises Unauthenticated when it is malformed, forged or expired, or its session was revoked; RetryLater and the
        errors of asyncpg when that cannot be told now.
        """
        claims = decode_token(token, await self.keys.secrets(key_id_of(token)), self._now())
        session = await self._session(claims.session_id)
        if session.user_id != claims.user_id or session.expires_at <= self._now():
            raise Unauthenticated("the session has ended", code="session_ended")
        expires_at = min(claims.expires_at, session.expires_at)
        return Principal(claims.user_id, claims.session_id, expires_at, session.memberships)

    async def ended_sessions(self, session_ids: Iterable[str]) -> set[str]:
        """Return those of the sessions that were revoked or are over: their open streams are to be closed."""
        asked = set(session_ids)
        rows = [row async for row in queries("identity").standing_sessions(self._pool, session_ids=list(asked))]
        ended = asked - {row["id"] for row in rows}
        for session_id in ended:
            self._sessions.store(session_id, _FALLEN)
        return ended

    def forget(self, session_id: str) -> None:
        """Look this session up again when it is next used; call it after a change to it."""
        self._sessions.forget(session_id)

    async def _session(self, session_id: str) -> _Standing:
        known = self._sessions.get(session_id)
        if known is not None:
            return known
        rows = [row async for row in queries("identity").find_session(self._pool, session_id=session_id)]
        found = _FALLEN
        if rows:
            memberships = (Membership(row["workspace_id"], row["name"], row["role"]) for row in rows if row["role"])
            found = _Standing(rows[0]["user_id"], rows[0]["expires_at"], tuple(memberships))
        self._sessions.store(session_id, found)
        return found
