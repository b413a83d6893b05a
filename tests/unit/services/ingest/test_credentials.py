"""Who an agent is: remembered for a while, looked up many at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.ingest.credentials import AgentIdentity, Credentials, hash_secret
from services.ingest.lookups import MEMORY_S, UNKNOWN_MEMORY_S
from shared.errors import RetryLater, Unauthenticated


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class FakeConnection:
    """PostgreSQL as far as credentials go: `queries` are the hashes of each query."""

    def __init__(self, secrets: tuple[str, ...], revoked: tuple[str, ...]) -> None:
        self.queries: list[list[bytes]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self._rows = [
            {
                "secret_hash": hash_secret(secret),
                "agent_id": f"a_{secret}",
                "server_id": f"s_{secret}",
                "workspace_id": "w_1",
                "revoked": secret in revoked,
                "offered": False,
            }
            for secret in (*secrets, *revoked)
        ]

    async def fetch(self, _sql: str, secret_hashes: list[bytes]) -> list[dict[str, Any]]:
        self.queries.append(secret_hashes)
        self.before_answer()
        return [row for row in self._rows if row["secret_hash"] in secret_hashes]

    def revoke(self, secret: str) -> None:
        """Let a secret be good for nothing any more."""
        next(row for row in self._rows if row["secret_hash"] == hash_secret(secret))["revoked"] = True


class FakePool:
    """Gives the one connection, or fails as it is told to."""

    def __init__(self, *secrets: str, revoked: tuple[str, ...] = ()) -> None:
        self.connection = FakeConnection(secrets, revoked)
        self.failure: Exception | None = None

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[FakeConnection]:
        await asyncio.sleep(0)  # as a query would, this lets others in
        if self.failure:
            raise self.failure
        yield self.connection

    @property
    def asked(self) -> list[int]:
        """How many credentials each query was about."""
        return [len(hashes) for hashes in self.connection.queries]


def bearer(secret: str) -> bytes:
    return b"Bearer " + secret.encode()


async def test_secret_leads_to_its_agent() -> None:
    credentials = Credentials(FakePool("x"))
    assert AgentIdentity.of("a_x", "s_x", "w_1") == await credentials.authenticate(bearer("x"))
    assert AgentIdentity.of("a_x", "s_x", "w_1") == await credentials.authenticate(b"bEARER x")


async def test_known_secret_is_not_looked_up_again_for_a_while() -> None:
    pool, clock = FakePool("x"), Clock()
    credentials = Credentials(pool, clock=clock)
    assert credentials.recall(bearer("x")) is None
    for now_s in (0, MEMORY_S - 0.1):
        clock.now_s = now_s
        await credentials.authenticate(bearer("x"))
        assert credentials.recall(bearer("x")) is not None
    assert [1] == pool.asked
    clock.now_s = MEMORY_S
    assert credentials.recall(bearer("x")) is None
    await credentials.authenticate(bearer("x"))
    assert [1, 1] == pool.asked


async def test_many_at_once_are_looked_up_together() -> None:
    secrets = [str(number) for number in range(50)]
    pool = FakePool(*secrets)
    credentials = Credentials(pool)
    found = await asyncio.gather(*(credentials.authenticate(bearer(secret)) for secret in secrets * 2))
    assert [f"a_{secret}" for secret in secrets * 2] == [identity.agent_id for identity in found]
    assert [50] == pool.asked


@pytest.mark.parametrize("authorization", [b"", b"x", b"Bearer", b"Basic x", b"Bearer " + b"x" * 500])
async def test_other_headers_are_refused_without_a_look(authorization: bytes) -> None:
    pool = FakePool()
    for ask in (Credentials(pool).authenticate, recall(Credentials(pool))):
        with pytest.raises(Unauthenticated):
            await ask(authorization)
    assert [] == pool.asked


async def test_unknown_and_revoked_secrets_are_told_apart_and_remembered_shortly() -> None:
    pool, clock = FakePool(revoked=("gone",)), Clock()
    credentials = Credentials(pool, clock=clock)
    for secret, code in (("never", "unauthenticated"), ("gone", "credential_revoked")):
        for _ in range(2):
            with pytest.raises(Unauthenticated) as raised:
                await credentials.authenticate(bearer(secret))
            assert code == raised.value.code
    assert [1, 1] == pool.asked
    clock.now_s = UNKNOWN_MEMORY_S
    with pytest.raises(Unauthenticated):
        await credentials.authenticate(bearer("never"))
    assert [1, 1, 1] == pool.asked


async def test_forgotten_secret_is_looked_up_again() -> None:
    pool = FakePool("x")
    credentials = Credentials(pool)
    await credentials.authenticate(bearer("x"))
    credentials.forget({"a_y"})
    await credentials.authenticate(bearer("x"))
    assert [1] == pool.asked
    credentials.forget({"a_x"})
    await credentials.authenticate(bearer("x"))
    credentials.forget(None)
    await credentials.authenticate(bearer("x"))
    assert [1, 1, 1] == pool.asked


async def test_secret_that_changed_while_it_was_looked_up_is_not_remembered() -> None:
    pool = FakePool("x")
    credentials = Credentials(pool)
    looking = asyncio.create_task(credentials.authenticate(bearer("x")))
    await asyncio.sleep(0)
    pool.connection.before_answer = lambda: credentials.forget({"a_x"})
    assert "a_x" == (await looking).agent_id
    assert credentials.recall(bearer("x")) is None


async def test_standing_are_those_who_may_come_in_now_whatever_is_remembered() -> None:
    pool = FakePool("x", revoked=("gone",))
    credentials = Credentials(pool)
    await credentials.authenticate(bearer("x"))
    pool.connection.revoke("x")
    asked = [hash_secret(secret) for secret in ("x", "gone", "never")]
    assert set() == await credentials.standing(asked)
    assert credentials.recall(bearer("x")) is None


async def test_failed_lookup_is_to_be_repeated_and_nothing_is_remembered_of_it() -> None:
    pool = FakePool("x")
    pool.failure = ConnectionRefusedError()
    credentials = Credentials(pool)
    refused = await asyncio.gather(*(credentials.authenticate(bearer("x")) for _ in range(3)), return_exceptions=True)
    assert [RetryLater] * 3 == [type(error) for error in refused]
    pool.failure = None
    assert "a_x" == (await credentials.authenticate(bearer("x"))).agent_id


async def test_caller_that_goes_away_does_not_take_others_along() -> None:
    credentials = Credentials(FakePool("x"))
    first, second = (asyncio.create_task(credentials.authenticate(bearer("x"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert "a_x" == (await second).agent_id


def recall(credentials: Credentials) -> Callable[[bytes], Awaitable[AgentIdentity | None]]:
    """Give the fast way in the form of the other."""

    async def ask(authorization: bytes) -> AgentIdentity | None:
        return credentials.recall(authorization)

    return ask
