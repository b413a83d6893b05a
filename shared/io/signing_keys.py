"""The keys that access tokens are signed with, as PostgreSQL has them, and their rotation."""

import secrets
import time
from collections.abc import Callable, Mapping

import asyncpg

from shared.errors import RetryLater
from shared.io.database.queries import queries
from shared.names import new_id
from shared.tokens import ACCESS_TOKEN_LIFETIME, SigningKey

KEYS_MEMORY_S = 60.0
"""How long a process may sign with a key that another has replaced, or accept one that was deleted."""

KEYS_PAUSE_S = 1.0
"""Tokens with unknown keys make the keys be read again at most this often."""

KEY_OUTLIVES_S = ACCESS_TOKEN_LIFETIME.total_seconds() + KEYS_MEMORY_S
"""How long after its replacement a key verifies: until the last token that was signed with it is over."""

_KEY_BYTES = 32


class SigningKeys:
    """The signing keys, read when they are first needed and when a token names an unknown one."""

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
        rows = [row async for row in queries("identity").signing_keys(self._pool, lasts_s=KEY_OUTLIVES_S)]
        self._keys = tuple(SigningKey(row["id"], row["secret"]) for row in rows)
        self._read_at = now


async def rotate_signing_key(connection: asyncpg.Connection) -> str:
    """Add a key that signs from now on, delete those whose tokens are over, and return the new key's id.

    Tokens that were signed before stay good until they end.
    """
    key_id = new_id("k")
    async with connection.transaction():
        await queries("setup").delete_old_signing_keys(connection, lasts_s=KEY_OUTLIVES_S)
        await queries("setup").add_signing_key(connection, id=key_id, secret=secrets.token_bytes(_KEY_BYTES))
    return key_id
