"""Passwords: argon2id, hashed and verified off the event loop, few at once because each takes 64 MiB."""

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_PASSWORD_CHARACTERS = 1024
CONCURRENT_HASHES = 2

_hasher = PasswordHasher()  # argon2id with the parameters of RFC 9106's low-memory profile


def hash_password(password: str) -> str:
    """Return what is stored of a password."""
    return _hasher.hash(password)


def matches(password: str, password_hash: str) -> bool:
    """Whether `password_hash` was made from this password; False as well for a hash that cannot be read."""
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return hash_password(secrets.token_urlsafe())


class Passwords:
    """Verifies passwords for an event loop, a few at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(CONCURRENT_HASHES)
        self._nobodys_hash = _nobodys_hash()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is right; it takes the same time when there is no hash (None) to compare with."""
        async with self._turns:
            right = await asyncio.to_thread(lambda: matches(password, password_hash or self._nobodys_hash))
        return right and password_hash is not None
