"""What connections hear when a token cannot be checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import asyncpg
import pytest

from services.broadcaster.authenticator import DatabaseAuthenticator
from shared.errors import RetryLater, Unauthenticated
from shared.io.identity import Identity, Memberships
from shared.tokens import Principal


class BrokenIdentity:
    """Fails in one way, whatever is asked."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    async def authenticate(self, token: str) -> Principal:
        del token
        raise self._fault

    async def standing(self, ids: Iterable[str]) -> dict[str, Memberships]:
        del ids
        raise self._fault


def authenticator(fault: Exception) -> DatabaseAuthenticator:
    return DatabaseAuthenticator(cast("Identity", BrokenIdentity(fault)))


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.InterfaceError("the pool is closing"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_database_that_does_not_answer_is_a_passing_fault(fault: Exception) -> None:
    with pytest.raises(RetryLater):
        await authenticator(fault).authenticate("token")
    with pytest.raises(RetryLater):
        await authenticator(fault).standing(["session"])


async def test_a_bad_token_stays_a_bad_token() -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(Unauthenticated("expired")).authenticate("token")
