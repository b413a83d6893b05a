"""Requests that come again with the same `Idempotency-Key`: the first result counts, for the same request only.

The change log itself sees to it that an operation happens once; this adds that a key is not taken for another request.
"""

import msgspec
from redis.asyncio import Redis

from services.api.conditions import WriteTerms
from shared.io.changelog.script import OPERATION_MEMORY_MS
from shared.io.problem import HttpError
from shared.names import PARTITIONS, PartitionKeys, partition_of
from shared.position import Position


class FirstResult(msgspec.Struct, frozen=True):
    """Where the log holds an operation that was appended before, and the topic's version after it."""

    position: Position
    version: int


class Repetition:
    """Remembers requests by their key, beside the operations of the log."""

    def __init__(self, redis: Redis, *, partitions: int = PARTITIONS) -> None:
        self._redis = redis
        self._partitions = partitions

    async def first_result(self, terms: WriteTerms) -> FirstResult | None:
        """Return what this request led to before, if it was made before.

        Raises HttpError (422) when its key was used for another request.
        """
        if not terms.request_digest:
            return None
        keys = self._keys(terms)
        operation, digest, open_epoch = await self._redis.mget(
            keys.operation(terms.operation_id), keys.request(terms.operation_id), keys.epoch
        )
        if operation is None:
            return None
        _require_same(digest, terms)
        position, _, version, epoch = operation.split()
        if epoch != open_epoch:  # lost before it was applied: nothing vouches for it
            return None
        return FirstResult(Position.parse(position), int(version))

    async def claim(self, terms: WriteTerms) -> None:
        """Bind the key to this request, before the log takes it in; raises HttpError (422) when another was faster."""
        if not terms.request_digest:
            return
        key = self._keys(terms).request(terms.operation_id)
        digest = await self._redis.set(key, terms.request_digest, px=OPERATION_MEMORY_MS, nx=True, get=True)
        _require_same(digest, terms)

    def _keys(self, terms: WriteTerms) -> PartitionKeys:
        return PartitionKeys(partition_of(terms.workspace_id, self._partitions))


def _require_same(digest: bytes | None, terms: WriteTerms) -> None:
    if digest is not None and digest.decode() != terms.request_digest:
        raise HttpError(422, "idempotency_key_reused", "this Idempotency-Key was used for another request")
