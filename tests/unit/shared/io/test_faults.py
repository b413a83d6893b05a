"""Which faults pass by themselves."""

import asyncpg
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from shared.errors import RetryLater
from shared.io.faults import as_retry_later


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        RedisConnectionError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 15"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    ],
)
def test_a_server_that_went_away_passes(error: Exception) -> None:
    assert isinstance(as_retry_later(error), RetryLater)


@pytest.mark.parametrize("error", [ValueError(), ResponseError("WRONGTYPE"), asyncpg.UniqueViolationError("taken")])
def test_what_would_fail_again_does_not_pass(error: Exception) -> None:
    assert None is as_retry_later(error)
