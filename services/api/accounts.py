"""Sessions of users: logging in, renewing with rotating refresh tokens, logging out, changing the password.

A refresh token is spent when it is used. Using it again means that two parties have it, so the whole session ends
(RFC 9700, section 4.14.2).
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from services.api.bodies import invalid
from services.api.passwords import Passwords, require_good_password
from shared.audit import Origin
from shared.errors import Unauthenticated
from shared.io.audit import record_account
from shared.io.database.queries import queries
from shared.io.identity import utc_now
from shared.io.identity_changes import IdentityChanges
from shared.io.problem import FieldError
from shared.io.signing_keys import SigningKeys
from shared.names import new_id
from shared.tokens import ACCESS_TOKEN_LIFETIME, Principal, encode_token, hash_token, new_claims

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
        self,
        pool: asyncpg.Pool,
        keys: SigningKeys,
        changes: IdentityChanges,
        passwords: Passwords,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._changes = changes
        self._passwords = passwords
        self._now = now

    async def log_in(self, email: str, password: str, origin: Origin) -> TokenPair:
        """Open a session; raises Unauthenticated alike for a wrong password and a user who is unknown or disabled."""
        user = await _SQL.find_user(self._pool, email=email)
        if not await self._passwords.verify(password, user["password_hash"] if user else None):
            await self._record_failure(user["id"] if user else "", origin)
            raise _wrong_credentials()
        session_id = new_id("x")
        async with self._pool.acquire() as connection, connection.transaction():
            # not if the password was changed, or the user disabled, while it was verified
            if not await _SQL.lock_user(connection, id=user["id"], password_hash=user["password_hash"]):
                raise _wrong_credentials()
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
        token_hash = hash_token(refresh_token)
        async with self._pool.acquire() as connection, connection.transaction():
            session_id = await _SQL.spend_refresh_token(connection, token_hash=token_hash)
            session = session_id and await _SQL.standing_session(connection, id=session_id)
            if session:
                next_token = await _add_refresh_token(connection, session_id)
            reused = None if session_id else await _SQL.session_of_refresh_token(connection, token_hash=token_hash)
            if reused:
                await _SQL.end_session(connection, id=reused["id"])
                details, user_id = {"session": reused["id"]}, reused["user_id"]
                await record_account(
                    connection, "refresh_token_reused", user_id=user_id, actor="", origin=origin, details=details
                )
        if reused:
            log.warning("refresh token used again, session ended", session=reused["id"])
            await self._changes.announce({reused["user_id"]})
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
        await self._changes.announce({principal.user_id})

    async def change_password(self, principal: Principal, current: str, new: str, origin: Origin) -> None:
        """Give the user another password, and end their other sessions; API tokens stay.

        Raises HttpError (422), which names the field, when `current` is not their password or `new` is too easy.
        """
        user = await _SQL.find_user_by_id(self._pool, id=principal.user_id)
        if not await self._passwords.verify(current, user["password_hash"] if user else None):
            raise invalid(FieldError("current", "this is not your password"))
        require_good_password(new, user["email"], "new")
        password_hash = await self._passwords.hash(new)
        async with self._pool.acquire() as connection, connection.transaction():
            await _SQL.set_password(connection, id=principal.user_id, password_hash=password_hash)
            await _SQL.end_other_sessions(connection, user_id=principal.user_id, kept=principal.session_id)
            await record_account(connection, "password_changed", user_id=principal.user_id, origin=origin)
        await self._changes.announce({principal.user_id})

    async def email_of(self, user_id: str) -> str:
        """Return the e-mail address of a user; raises Unauthenticated when the user is gone."""
        email: str | None = await _SQL.email_of(self._pool, user_id=user_id)
        if email is None:
            raise Unauthenticated("the user is gone", code="session_ended")
        return email

    async def _pair(self, user_id: str, session_id: str, refresh_token: str) -> TokenPair:
        key = await self._keys.newest()
        access_token = encode_token(new_claims(user_id, session_id, self._now()), key)
        return TokenPair(access_token, refresh_token, int(ACCESS_TOKEN_LIFETIME.total_seconds()))


async def _add_refresh_token(connection: asyncpg.Connection, session_id: str) -> str:
    token = f"mr_{secrets.token_urlsafe(32)}"
    await _SQL.add_refresh_token(connection, token_hash=hash_token(token), session_id=session_id)
    return token


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated("the e-mail address or the password is wrong", code="wrong_credentials")
