"""Tokens are checked against what PostgreSQL says now, or said a moment ago."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from shared.errors import RetryLater, Unauthenticated
from shared.io.database.pool import create_pool
from shared.io.identity import KEYS_PAUSE_S, SESSION_MEMORY_S, Identity
from shared.tokens import Membership, SigningKey, encode_token, new_claims

KEY = SigningKey("k_1", b"1" * 32)
NEW_KEY = SigningKey("k_2", b"2" * 32)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url, size=2)
    await pool.execute(
        """
        INSERT INTO workspaces (id, name) VALUES ('w_1', 'One'), ('w_2', 'Two');
        INSERT INTO users (id, email, password_hash) VALUES ('u_1', 'a@example.org', ''), ('u_2', 'b@example.org', '');
        INSERT INTO members (workspace_id, user_id, role) VALUES ('w_1', 'u_1', 'owner'), ('w_2', 'u_1', 'viewer');
        INSERT INTO sessions (id, user_id, expires_at) VALUES
            ('x_1', 'u_1', now() + interval '1 day'), ('x_2', 'u_2', now() + interval '1 day'),
            ('x_old', 'u_1', now() - interval '1 minute'), ('x_short', 'u_1', now() + interval '1 minute');
        """
    )
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def keyed_pool(pool: asyncpg.Pool) -> asyncpg.Pool:
    await add_key(pool, KEY)
    return pool


async def add_key(pool: asyncpg.Pool, key: SigningKey) -> None:
    await pool.execute("INSERT INTO signing_keys (id, secret) VALUES ($1, $2)", key.id, key.secret)


def token(user_id: str = "u_1", session_id: str = "x_1", key: SigningKey = KEY) -> str:
    return encode_token(new_claims(user_id, session_id, datetime.now(UTC)), key)


async def test_a_token_leads_to_the_user_and_their_workspaces(keyed_pool: asyncpg.Pool) -> None:
    principal = await Identity(keyed_pool).authenticate(token())
    assert ("u_1", "x_1") == (principal.user_id, principal.session_id)
    assert {Membership("w_1", "One", "owner"), Membership("w_2", "Two", "viewer")} == set(principal.memberships)


async def test_a_user_without_workspaces_is_known_all_the_same(keyed_pool: asyncpg.Pool) -> None:
    assert () == (await Identity(keyed_pool).authenticate(token("u_2", "x_2"))).memberships


async def test_a_principal_does_not_outlive_its_session(keyed_pool: asyncpg.Pool) -> None:
    principal = await Identity(keyed_pool).authenticate(token(session_id="x_short"))
    assert principal.expires_at < datetime.now(UTC) + timedelta(minutes=1)


@pytest.mark.parametrize(("user_id", "session_id"), [("u_1", "x_none"), ("u_1", "x_old"), ("u_2", "x_1")])
async def test_a_token_without_a_session_of_its_user_is_refused(
    keyed_pool: asyncpg.Pool, user_id: str, session_id: str
) -> None:
    with pytest.raises(Unauthenticated):
        await Identity(keyed_pool).authenticate(token(user_id, session_id))


async def test_a_revoked_session_is_noticed_in_time_and_at_once_where_it_is_known(keyed_pool: asyncpg.Pool) -> None:
    clock = Clock()
    here, elsewhere = Identity(keyed_pool, clock=clock), Identity(keyed_pool, clock=clock)
    for identity in (here, elsewhere):
        await identity.authenticate(token())
    await keyed_pool.execute("UPDATE sessions SET revoked_at = now() WHERE id = 'x_1'")
    here.forget("x_1")
    with pytest.raises(Unauthenticated):
        await here.authenticate(token())
    clock.now_s += SESSION_MEMORY_S
    with pytest.raises(Unauthenticated):
        await elsewhere.authenticate(token())


async def test_ended_sessions_are_told_from_standing_ones(keyed_pool: asyncpg.Pool) -> None:
    identity = Identity(keyed_pool)
    await identity.authenticate(token())
    await keyed_pool.execute("UPDATE sessions SET revoked_at = now() WHERE id = 'x_1'")
    assert {"x_1", "x_old", "x_none"} == await identity.ended_sessions(["x_1", "x_old", "x_2", "x_none"])
    with pytest.raises(Unauthenticated):
        await identity.authenticate(token())


async def test_a_new_key_is_found_but_unknown_ones_are_not_looked_for_without_pause(keyed_pool: asyncpg.Pool) -> None:
    clock = Clock()
    identity = Identity(keyed_pool, clock=clock)
    await identity.authenticate(token())
    await add_key(keyed_pool, NEW_KEY)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(token(key=NEW_KEY))
    clock.now_s += KEYS_PAUSE_S
    assert "u_1" == (await identity.authenticate(token(key=NEW_KEY))).user_id
    assert "u_1" == (await identity.authenticate(token())).user_id


async def test_the_newest_key_signs(pool: asyncpg.Pool) -> None:
    clock = Clock()
    identity = Identity(pool, clock=clock)
    with pytest.raises(RetryLater):
        await identity.keys.newest()
    await add_key(pool, KEY)
    clock.now_s += KEYS_PAUSE_S
    assert KEY == await identity.keys.newest()
