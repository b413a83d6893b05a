"""Passwords: argon2id, hashed and verified off the event loop, few at once because each takes 64 MiB."""

import asyncio
import secrets
from functools import cache
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Meta

from services.api.bodies import invalid
from shared.io.problem import FieldError

MIN_PASSWORD_CHARACTERS = 12
"""Of passwords that people choose; one that stands already, or in the settings, may be shorter."""

MAX_PASSWORD_CHARACTERS = 1024
_LEAST_DIFFERENT_CHARACTERS = 5
CONCURRENT_HASHES = 2

_hasher = PasswordHasher()  # argon2id with the parameters of RFC 9106's low-memory profile


NewPassword = Annotated[str, Meta(min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_CHARACTERS)]
"""A password that somebody chooses; see `require_good_password` for what its type cannot say."""


def require_good_password(password: str, email: str, field: str) -> None:
    """Raise HttpError (422), which names the `field`, for a password that is among the first that anybody would try.

    Beyond length there are no rules of what it must be made of: https://pages.nist.gov/800-63-4/sp800-63b.html
    """
    if password.casefold() == email.casefold():
        raise invalid(FieldError(field, "must not be the e-mail address"))
    if len(set(password)) < _LEAST_DIFFERENT_CHARACTERS:
        raise invalid(FieldError(field, f"must have at least {_LEAST_DIFFERENT_CHARACTERS} different characters"))


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
    """Verifies and hashes passwords for an event loop, a few at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(CONCURRENT_HASHES)
        self._nobodys_hash = _nobodys_hash()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is right; it takes the same time when there is no hash (None) to compare with."""
        async with self._turns:
            right = await asyncio.to_thread(lambda: matches(password, password_hash or self._nobodys_hash))
        return right and password_hash is not None

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        async with self._turns:
            return await asyncio.to_thread(hash_password, password)
