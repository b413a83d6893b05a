"""Bounds how often an address may try to enrol, over all replicas."""

from hashlib import sha256

from redis.asyncio import Redis

from shared.io.problem import HttpError
from shared.names import throttle_key

WINDOW_S = 60
MAX_ATTEMPTS = 3_000
"""A whole fleet may enrol from behind one address."""

MAX_REFUSED = 60


class Attempt:
    """One enrolment that is under way, of an address."""

    def __init__(self, throttle: "Throttle", address: str) -> None:
        self._throttle = throttle
        self.address = address

    async def note_refusal(self) -> None:
        """Count it as one that was refused."""
        await self._throttle.note_refusal(self.address)


class Throttle:
    """Counts enrolments of an address in windows of a minute."""

    def __init__(self, redis: Redis, *, attempts: int = MAX_ATTEMPTS, refused: int = MAX_REFUSED) -> None:
        self._redis = redis
        self._attempts = attempts
        self._refused = refused

    async def admit(self, address: str) -> Attempt:
        """Count an attempt and return it; raises HttpError 429 after too many, or too many refused ones."""
        attempts_key, refused_key = _keys(address)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.incr(attempts_key)
            pipe.expire(attempts_key, WINDOW_S, nx=True)
            pipe.get(refused_key)
            pipe.ttl(attempts_key)
            pipe.ttl(refused_key)
            attempts, _, refused, attempts_end_s, refused_end_s = await pipe.execute()
        if int(refused or 0) >= self._refused:
            raise _too_many("were refused", refused_end_s)
        if attempts > self._attempts:
            raise _too_many("were made", attempts_end_s)
        return Attempt(self, address)

    async def note_refusal(self, address: str) -> None:
        """Count an attempt that was refused."""
        _, refused_key = _keys(address)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.incr(refused_key)
            pipe.expire(refused_key, WINDOW_S, nx=True)
            await pipe.execute()


def _keys(address: str) -> tuple[str, str]:
    digest = sha256(address.encode()).hexdigest()
    return throttle_key("enrolment", digest), throttle_key("enrolment-refused", digest)


def _too_many(what: str, ends_s: int) -> HttpError:
    return HttpError(429, "too_many_requests", f"too many enrolments from this address {what}", retry_after_s=ends_s)
