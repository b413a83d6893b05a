"""Slows down guessing of passwords: a bound on attempts to log in for each address and for each account."""

from collections.abc import Iterator
from hashlib import sha256

import msgspec
from redis.asyncio import Redis

from shared.io.problem import HttpError
from shared.names import throttle_key


class Limit(msgspec.Struct, frozen=True):
    """So many attempts in a window that begins with the first."""

    kind: str
    attempts: int
    window_s: int = 60


PER_ADDRESS = Limit("address", 60)
PER_ACCOUNT_AND_ADDRESS = Limit("login", 10)
PER_ACCOUNT = Limit("account", 100)
"""Great enough that one address alone, which the limit before bounds, cannot lock others out of an account."""


class LoginThrottle:
    """Counts attempts in Redis, for all replicas together. A success takes its attempt back."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def enter(self, account: str, address: str) -> None:
        """Count an attempt; raises HttpError (429) when there were too many."""
        for limit, key in _counters(account, address):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.incr(key)
                pipe.pexpire(key, limit.window_s * 1000, nx=True)
                pipe.pttl(key)
                attempts, _, left_ms = await pipe.execute()
            if attempts > limit.attempts:
                detail = "too many attempts to log in: wait before the next"
                raise HttpError(429, "too_many_attempts", detail, retry_after_s=max(1.0, left_ms / 1000))

    async def forgive(self, account: str, address: str) -> None:
        """Take an attempt back that succeeded."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for limit, key in _counters(account, address):
                pipe.decr(key)
                pipe.pexpire(key, limit.window_s * 1000, nx=True)
            await pipe.execute()


def _counters(account: str, address: str) -> Iterator[tuple[Limit, str]]:
    account = account.strip().casefold()
    for limit, who in (
        (PER_ADDRESS, address),
        (PER_ACCOUNT_AND_ADDRESS, f"{account}\n{address}"),
        (PER_ACCOUNT, account),
    ):
        yield limit, throttle_key(limit.kind, sha256(who.encode()).hexdigest())
