"""Tokens are checked against what PostgreSQL says now, or said a moment ago."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from shared.errors import RetryLater, Unauthenticated
from shared.io.database.pool import create_pool
from shared.io.identity import LOGIN_MEMORY_S, Identity
from shared.io.signing_keys import KEY_OUTLIVES_S, KEYS_PAUSE_S, rotate_signing_key
from shared.tokens import Membership, Principal, SigningKey, encode_token, hash_token, new_claims

KEY = SigningKey("k_1", b"1" * 32)
API_TOKEN = "mt_of-a-robot"
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


async def add_api_token(pool: asyncpg.Pool, name: str = "t_1", expires_at: datetime | None = None) -> None:
    """Add an API token of the owner u_1 that reads and writes."""
    await pool.execute(
        "INSERT INTO api_tokens (id, workspace_id, user_id, name, scopes, token_hash, expires_at) "
        "VALUES ($1, 'w_1', 'u_1', 'robot', '{read,write}', $2, $3)",
        name,
        hash_token(API_TOKEN if name == "t_1" else name),
        expires_at,
    )


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
    assert principal.expires_at is not None
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
    here.forget({"u_1"})
    with pytest.raises(Unauthenticated):
        await here.authenticate(token())
    clock.now_s += LOGIN_MEMORY_S
    with pytest.raises(Unauthenticated):
        await elsewhere.authenticate(token())


async def test_ended_logins_are_told_from_standing_ones(keyed_pool: asyncpg.Pool) -> None:
    await add_api_token(keyed_pool)
    await add_api_token(keyed_pool, "t_over", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await keyed_pool.execute("UPDATE sessions SET revoked_at = now() WHERE id = 'x_1'")
    asked = ["x_1", "x_old", "x_2", "x_none", "x_short", "t_1", "t_over", "t_none"]
    expected = {
        "x_2": (),
        "x_short": (Membership("w_1", "One", "owner"), Membership("w_2", "Two", "viewer")),
        "t_1": (Membership("w_1", "One", "editor"),),
    }
    standing = await Identity(keyed_pool).standing(asked)
    assert expected == {one: tuple(sorted(found, key=lambda m: m.workspace_id)) for one, found in standing.items()}


async def test_of_users_who_are_disabled_nothing_stands(keyed_pool: asyncpg.Pool) -> None:
    await add_api_token(keyed_pool)
    await keyed_pool.execute("UPDATE users SET disabled_at = now()")
    identity = Identity(keyed_pool)
    assert {} == await identity.standing(["x_1", "x_2", "t_1"])
    for refused in (token(), API_TOKEN):
        with pytest.raises(Unauthenticated):
            await identity.authenticate(refused)


async def test_what_changes_while_it_is_read_is_read_again(keyed_pool: asyncpg.Pool) -> None:
    identity = Identity(keyed_pool)
    found = identity._find_session
    looks = 0

    async def find_and_change(session_id: str) -> Principal | None:
        nonlocal looks
        looks += 1
        read = await found(session_id)
        if looks == 1:
            await keyed_pool.execute("UPDATE sessions SET revoked_at = now() WHERE id = 'x_1'")
            identity.forget({"u_1"})
        return read

    identity._find_session = find_and_change  # type: ignore[method-assign]
    with pytest.raises(Unauthenticated):
        await identity.authenticate(token())
    assert 2 == looks


async def test_an_api_token_leads_to_its_workspace_alone(keyed_pool: asyncpg.Pool) -> None:
    await add_api_token(keyed_pool)
    principal = await Identity(keyed_pool).authenticate(API_TOKEN)
    assert ("u_1", "t_1", None, True) == (
        principal.user_id,
        principal.session_id,
        principal.expires_at,
        principal.is_program,
    )
    assert (Membership("w_1", "One", "editor"),) == principal.memberships


async def test_an_api_token_gives_no_more_than_its_maker_has_now(keyed_pool: asyncpg.Pool) -> None:
    await add_api_token(keyed_pool)
    await keyed_pool.execute("UPDATE members SET role = 'viewer'; UPDATE users SET is_admin = true")
    principal = await Identity(keyed_pool).authenticate(API_TOKEN)
    assert ("viewer", False) == (principal.memberships[0].role, principal.is_admin)


async def test_an_api_token_ends_in_time_and_with_the_membership(keyed_pool: asyncpg.Pool) -> None:
    now = datetime.now(UTC)
    await add_api_token(keyed_pool, expires_at=now + timedelta(minutes=1))
    times = iter((now, now + timedelta(minutes=2)))
    identity = Identity(keyed_pool, now=lambda: next(times))
    await identity.authenticate(API_TOKEN)
    with pytest.raises(Unauthenticated):  # although it is remembered
        await identity.authenticate(API_TOKEN)
    await keyed_pool.execute("UPDATE api_tokens SET expires_at = NULL; DELETE FROM members WHERE workspace_id = 'w_1'")
    with pytest.raises(Unauthenticated):
        await Identity(keyed_pool).authenticate(API_TOKEN)


async def test_the_use_of_an_api_token_is_noted_now_and_then(keyed_pool: asyncpg.Pool) -> None:
    await add_api_token(keyed_pool)
    notes = []
    for earlier in (timedelta(0), timedelta(minutes=4), timedelta(minutes=6)):
        await keyed_pool.execute("UPDATE api_tokens SET last_used_at = last_used_at - $1::interval", earlier)
        before = await keyed_pool.fetchval("SELECT last_used_at FROM api_tokens")
        await Identity(keyed_pool).authenticate(API_TOKEN)
        notes.append(before != await keyed_pool.fetchval("SELECT last_used_at FROM api_tokens"))
    assert [True, False, True] == notes


@pytest.mark.parametrize("text", ["mt_", "mt_unknown", "mt_\x00", "mt_\ud800", "mt_" + "x" * 10_000])
async def test_an_unknown_api_token_is_refused(keyed_pool: asyncpg.Pool, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await Identity(keyed_pool).authenticate(text)


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


async def test_a_rotated_key_signs_and_the_old_one_verifies_until_its_tokens_are_over(keyed_pool: asyncpg.Pool) -> None:
    old = token()
    async with keyed_pool.acquire() as connection:
        new_id = await rotate_signing_key(connection)
    identity = Identity(keyed_pool)
    newest = await identity.keys.newest()
    assert new_id == newest.id
    for standing in (old, token(key=newest)):
        await identity.authenticate(standing)
    await keyed_pool.execute(
        "UPDATE signing_keys SET created_at = created_at - make_interval(secs => $1)", KEY_OUTLIVES_S + 1
    )
    identity = Identity(keyed_pool)
    await identity.authenticate(token(key=newest))
    with pytest.raises(Unauthenticated):
        await identity.authenticate(old)


async def test_rotation_deletes_the_keys_whose_tokens_are_over(keyed_pool: asyncpg.Pool) -> None:
    async with keyed_pool.acquire() as connection:
        made = [KEY.id, await rotate_signing_key(connection)]
        assert set(made) == await key_ids(keyed_pool)
        await keyed_pool.execute(
            "UPDATE signing_keys SET created_at = created_at - make_interval(secs => $1)", KEY_OUTLIVES_S + 1
        )
        made.append(await rotate_signing_key(connection))
    assert set(made[1:]) == await key_ids(keyed_pool)


async def key_ids(pool: asyncpg.Pool) -> set[str]:
    return {row["id"] for row in await pool.fetch("SELECT id FROM signing_keys")}
