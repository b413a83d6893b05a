"""Sessions of users: logging in, renewing with rotating refresh tokens, logging out.

A refresh token is spent when it is used. Using it again means that two parties have it, so the whole session ends
(RFC 9700, section 4.14.2).
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

import asyncpg
import msgspec
import structlog

from services.api.passwords import Passwords
from shared.audit import Origin
from shared.errors import Unauthenticated
from shared.io.audit import record_account
from shared.io.database.queries import queries
from shared.io.identity import Identity, utc_now
from shared.names import new_id
from shared.tokens import ACCESS_TOKEN_LIFETIME, Principal, encode_token, new_claims

SESSION_LIFETIME = timedelta(days=30)
_SQL = queries("accounts")

log = structlog.get_logger(__name__)


class TokenPair(msgspec.Struct, frozen=True):
    """What a user gets to call the api with: `expires_in` is the lifetime of the access token in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  (the name of a kind of token)


class Accounts:
    """Opens, renews and ends sessions."""

    def __init__(
        self, pool: asyncpg.Pool, identity: Identity, passwords: Passwords, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._pool = pool
        self._identity = identity
        self._passwords = passwords
        self._now = now

    async def log_in(self, email: str, password: str, origin: Origin) -> TokenPair:
        """Open a session; raises Unauthenticated alike for an unknown user and a wrong password."""
        user = await _SQL.find_user(self._pool, email=email)
        if not await self._passwords.verify(password, user["password_hash"] if user else None):
            await self._record_failure(user["id"] if user else "", origin)
            raise Unauthenticated("the e-mail address or the password is wrong", code="wrong_credentials")
        session_id = new_id("x")
        async with self._pool.acquire() as connection, connection.transaction():
            expires_at = self._now() + SESSION_LIFETIME
            await _SQL.forget_sessions(connection, user_id=user["id"])
            await _SQL.add_session(connection, id=session_id, user_id=user["id"], expires_at=expires_at)
            refresh_token = await _add_refresh_token(connection, session_id)
            details = {"session": session_id}
            await record_account(connection, "logged_in", user_id=user["id"], origin=origin, details=details)
        return await self._pair(user["id"], session_id, refresh_token)

    async def _record_failure(self, user_id: str, origin: Origin) -> None:
        # the name of an unknown user is not recorded: it may be a password that was typed into the wrong field
        details = {"reason": "wrong_password" if user_id else "unknown_user"}
        async with self._pool.acquire() as connection, connection.transaction():
            await record_account(connection, "login_failed", user_id=user_id, actor="", origin=origin, details=details)

    async def refresh(self, refresh_token: str, origin: Origin) -> TokenPair:
        """Give a new pair for a refresh token that was not used yet.

        Raises Unauthenticated when it is unknown, when it was used (its session has ended then), or when its session
        had ended before.
        """
        token_hash = _hash(refresh_token)
        async with self._pool.acquire() as connection, connection.transaction():
            session_id = await _SQL.spend_refresh_token(connection, token_hash=token_hash)
            session = session_id and await _SQL.standing_session(connection, id=session_id)
            if session:
                next_token = await _add_refresh_token(connection, session_id)
            reused = None if session_id else await _SQL.session_of_refresh_token(connection, token_hash=token_hash)
            if reused:
                await _SQL.end_session(connection, id=reused)
                user_id = await _SQL.user_of_session(connection, id=reused)
                details = {"session": reused}
                await record_account(
                    connection, "refresh_token_reused", user_id=user_id, actor="", origin=origin, details=details
                )
        if reused:
            log.warning("refresh token used again, session ended", session=reused)
            self._identity.forget(reused)
            raise Unauthenticated("this refresh token was used before: log in again", code="refresh_token_reused")
        if not session:
            raise Unauthenticated("this refresh token is not good (any more): log in again", code="session_ended")
        return await self._pair(session["user_id"], session_id, next_token)

    async def log_out(self, principal: Principal, origin: Origin) -> None:
        """End the session."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _SQL.end_session(connection, id=principal.session_id)
            details = {"session": principal.session_id}
            await record_account(connection, "logged_out", user_id=principal.user_id, origin=origin, details=details)
        self._identity.forget(principal.session_id)

    async def email_of(self, user_id: str) -> str:
        """Return the e-mail address of a user; raises Unauthenticated when the user is gone."""
        email: str | None = await _SQL.email_of(self._pool, user_id=user_id)
        if email is None:
            raise Unauthenticated("the user is gone", code="session_ended")
        return email

    async def _pair(self, user_id: str, session_id: str, refresh_token: str) -> TokenPair:
        key = await self._identity.keys.newest()
        access_token = encode_token(new_claims(user_id, session_id, self._now()), key)
        return TokenPair(access_token, refresh_token, int(ACCESS_TOKEN_LIFETIME.total_seconds()))


async def _add_refresh_token(connection: asyncpg.Connection, session_id: str) -> str:
    token = f"mr_{secrets.token_urlsafe(32)}"
    await _SQL.add_refresh_token(connection, token_hash=_hash(token), session_id=session_id)
    return token


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()
