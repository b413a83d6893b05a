"""Users log in, stay in by refresh tokens that work once, and are out when they log out."""

import asyncio
from typing import Any

import httpx
import pytest
from argon2 import extract_parameters

from services.api import passwords
from services.api.passwords import matches
from services.api.throttle import PER_ACCOUNT, PER_ACCOUNT_AND_ADDRESS, PER_ADDRESS
from shared.errors import Unauthenticated
from shared.io.identity import Identity
from shared.io.identity_changes import IdentityChanges
from shared.names import IDENTITY_CHANGES
from tests.support.api import OTHER_WORKSPACE, PASSWORD, WORKSPACE, Api
from tests.support.applier import until

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; accounts need no log."""
    return sealed_api


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def log_in(api: Api, **fields: object) -> dict[str, Any]:
    answer = await api.http.post(LOGIN, json={"email": "owner@example.org", "password": PASSWORD} | fields)
    assert 200 == answer.status_code, answer.text
    return dict(answer.json())


async def status_of_me(api: Api, token: str) -> int:
    return (await api.http.get("/api/v1/me", headers=bearer(token))).status_code


async def test_a_user_logs_in_and_is_known(api: Api) -> None:
    pair = await log_in(api)
    assert ("Bearer", 900) == (pair["token_type"], pair["expires_in"])
    me = await api.http.get("/api/v1/me", headers=bearer(pair["access_token"]))
    expected = {
        "user": {"id": "u_owner", "email": "owner@example.org", "is_admin": False},
        "workspaces": [{"id": WORKSPACE, "name": "Ours", "role": "owner"}],
    }
    assert expected == me.json()
    assert "no-store" == me.headers["cache-control"]


async def test_other_services_know_the_token(api: Api) -> None:
    pair = await log_in(api, email="both@example.org")
    principal = await Identity(api.pool).authenticate(pair["access_token"])
    roles = {membership.workspace_id: membership.role for membership in principal.memberships}
    assert {WORKSPACE: "viewer", OTHER_WORKSPACE: "editor"} == roles


async def test_how_an_address_is_capitalised_does_not_matter(api: Api) -> None:
    await log_in(api, email="Owner@Example.ORG")


async def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(api: Api) -> None:
    wrong = await api.http.post(LOGIN, json={"email": "owner@example.org", "password": "wrong"})
    unknown = await api.http.post(LOGIN, json={"email": "unknown@example.org", "password": "wrong"})
    assert (401, "wrong_credentials") == (wrong.status_code, wrong.json()["code"])
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())


async def test_the_same_work_is_done_for_every_login_that_fails(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.pool.execute("UPDATE users SET disabled_at = now() WHERE id = 'u_editor'")
    verified: list[str] = []

    def note(password: str, password_hash: str) -> bool:
        verified.append(password_hash)
        return matches(password, password_hash)

    monkeypatch.setattr(passwords, "matches", note)
    answers = [
        await api.http.post(LOGIN, json={"email": f"{who}@example.org", "password": password})
        for who, password in (("owner", "wrong"), ("unknown", "wrong"), ("unknown", PASSWORD), ("editor", PASSWORD))
    ]
    assert [401] * 4 == [answer.status_code for answer in answers]
    assert 1 == len({answer.text for answer in answers})
    assert 4 == len(verified)
    assert [extract_parameters(verified[0])] * 4 == [extract_parameters(one) for one in verified]


async def test_a_login_does_not_outlive_a_password_that_was_changed_meanwhile(api: Api) -> None:
    accounts = api.parts.accounts
    verify = accounts._passwords.verify

    async def verify_and_change(password: str, password_hash: str | None) -> bool:
        right = await verify(password, password_hash)
        await api.pool.execute("UPDATE users SET password_hash = 'another' WHERE id = 'u_owner'")
        return right

    accounts._passwords.verify = verify_and_change  # type: ignore[method-assign]
    answer = await api.http.post(LOGIN, json={"email": "owner@example.org", "password": PASSWORD})
    assert (401, "wrong_credentials") == (answer.status_code, answer.json()["code"])
    assert 0 == await api.pool.fetchval("SELECT count(*) FROM sessions")


async def change_password(api: Api, token: str, current: str, new: str) -> httpx.Response:
    body = {"current": current, "new": new}
    return await api.http.post("/api/v1/me/password", json=body, headers=bearer(token))


async def test_another_password_ends_the_other_sessions_and_keeps_this_one(api: Api) -> None:
    here, elsewhere = await log_in(api), await log_in(api)
    program = token_of(await api.let_program_in("owner", "read"))
    for token in (here["access_token"], elsewhere["access_token"], program):
        assert 200 == await status_of_me(api, token)
    changed = await change_password(api, here["access_token"], PASSWORD, "another horse, another battery")
    assert 204 == changed.status_code
    tokens = (here["access_token"], elsewhere["access_token"], program)
    assert [200, 401, 200] == [await status_of_me(api, token) for token in tokens]
    statuses = [
        (await api.http.post(REFRESH, json={"refresh_token": pair["refresh_token"]})).status_code
        for pair in (here, elsewhere)
    ]
    assert [200, 401] == statuses
    assert 401 == await attempt(api, "owner@example.org", "192.0.2.1", PASSWORD)
    await log_in(api, password="another horse, another battery")


@pytest.mark.parametrize(
    ("current", "new", "wrong"),
    [
        ("wrong", "another horse, another battery", ["current"]),
        ("", "short", ["current", "new"]),
        (PASSWORD, "OWNER@example.org", ["new"]),
        (PASSWORD, "abcabcabcabcabc", ["new"]),
    ],
)
async def test_what_is_wrong_with_a_change_of_password_is_named(
    api: Api, current: str, new: str, wrong: list[str]
) -> None:
    pair = await log_in(api)
    answer = await change_password(api, pair["access_token"], current, new)
    assert (422, wrong) == (answer.status_code, [error["field"] for error in answer.json()["errors"]])
    await log_in(api)


async def test_guessing_the_password_of_a_session_is_slowed_down(api: Api) -> None:
    pair = await log_in(api)
    for _ in range(PER_ACCOUNT_AND_ADDRESS.attempts):
        assert 422 == (await change_password(api, pair["access_token"], "wrong", "a password that is long")).status_code
    refused = await change_password(api, pair["access_token"], PASSWORD, "another horse, another battery")
    assert 429 == refused.status_code


async def test_another_replica_knows_of_the_end_of_a_session_at_once(api: Api) -> None:
    pair = await log_in(api)
    there = Identity(api.pool)

    async def heard(user_ids: frozenset[str] | None) -> None:
        there.forget(user_ids)

    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(IdentityChanges(api.redis, heard).run(ending))
        await until_listeners(api, 2)
        await there.authenticate(pair["access_token"])
        await api.http.post("/api/v1/auth/logout", headers=bearer(pair["access_token"]))
        async with asyncio.timeout(1):
            while await is_let_in(there, pair["access_token"]):
                await asyncio.sleep(0)
        ending.set()


async def until_listeners(api: Api, number: int) -> None:
    """Wait until so many processes hear of changes."""

    async def are_there() -> bool:
        ((_, listeners),) = await api.redis.pubsub_numsub(IDENTITY_CHANGES)
        return bool(listeners == number)

    await until(are_there)


async def is_let_in(identity: Identity, token: str) -> bool:
    try:
        await identity.authenticate(token)
    except Unauthenticated:
        return False
    return True


def token_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


async def test_what_is_no_login_is_refused(api: Api) -> None:
    for status, body in (
        (400, b""),
        (400, b"{"),
        (400, b'{"email": "a\\ud800", "password": "b"}'),
        (422, b"[]"),
        (422, b"{}"),
        (422, b'{"email": 5, "password": "b"}'),
        (422, b'{"email": "a\\u0000", "password": "b"}'),
        (422, b'{"email": "a", "password": ""}'),
        (422, b'{"email": "a", "password": "%b"}' % (b"x" * 1025)),
        (422, b'{"email": "a", "password": "b", "admin": true}'),
    ):
        answer = await api.http.post(LOGIN, content=body, headers={"Content-Type": "application/json"})
        assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), body[:50]


async def test_a_password_with_nul_is_only_a_wrong_one(api: Api) -> None:
    answer = await api.http.post(LOGIN, json={"email": "owner@example.org", "password": "\x00"})
    assert 401 == answer.status_code


async def test_a_refresh_token_works_once(api: Api) -> None:
    first = await log_in(api)
    second = await api.http.post(REFRESH, json={"refresh_token": first["refresh_token"]})
    assert 200 == second.status_code
    assert second.json()["refresh_token"] != first["refresh_token"]
    assert 200 == await status_of_me(api, second.json()["access_token"])


async def test_using_a_refresh_token_again_ends_the_session(api: Api) -> None:
    first = await log_in(api)
    elsewhere = await log_in(api)
    second = (await api.http.post(REFRESH, json={"refresh_token": first["refresh_token"]})).json()
    again = await api.http.post(REFRESH, json={"refresh_token": first["refresh_token"]})
    assert (401, "refresh_token_reused") == (again.status_code, again.json()["code"])
    newest = await api.http.post(REFRESH, json={"refresh_token": second["refresh_token"]})
    assert (401, "session_ended") == (newest.status_code, newest.json()["code"])
    assert 401 == await status_of_me(api, second["access_token"])
    assert 200 == await status_of_me(api, elsewhere["access_token"])


async def test_of_several_that_use_a_refresh_token_at_once_one_succeeds(api: Api) -> None:
    pair = await log_in(api)
    answers = await asyncio.gather(
        *(api.http.post(REFRESH, json={"refresh_token": pair["refresh_token"]}) for _ in range(5))
    )
    assert [200, 401, 401, 401, 401] == sorted(answer.status_code for answer in answers)


async def test_an_unknown_refresh_token_is_refused(api: Api) -> None:
    for token in ("mr_unknown", "\x00", "é"):
        answer = await api.http.post(REFRESH, json={"refresh_token": token})
        assert (401, "session_ended") == (answer.status_code, answer.json()["code"])


async def test_logging_out_ends_the_session_and_its_tokens(api: Api) -> None:
    pair = await log_in(api)
    assert 200 == await status_of_me(api, pair["access_token"])
    out = await api.http.post("/api/v1/auth/logout", headers=bearer(pair["access_token"]))
    assert (204, b"") == (out.status_code, out.content)
    assert 401 == await status_of_me(api, pair["access_token"])
    answer = await api.http.post(REFRESH, json={"refresh_token": pair["refresh_token"]})
    assert 401 == answer.status_code


async def test_secrets_are_stored_as_hashes(api: Api) -> None:
    pair = await log_in(api)
    stored = await api.pool.fetchval("SELECT token_hash FROM refresh_tokens")
    assert 32 == len(stored)
    assert pair["refresh_token"].encode() not in stored


async def test_sessions_that_are_over_are_forgotten(api: Api) -> None:
    await log_in(api)
    await api.pool.execute("UPDATE sessions SET expires_at = now() - interval '1 second'")
    await log_in(api)
    assert 1 == await api.pool.fetchval("SELECT count(*) FROM sessions")


async def attempt(api: Api, email: str, address: str, password: str | None = None) -> int:
    body = {"email": email, "password": "wrong" if password is None else password}
    answer = await api.http.post(LOGIN, json=body, headers={"X-Forwarded-For": address})
    if answer.status_code == 429:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    return answer.status_code


async def test_guessing_the_password_of_an_account_is_slowed_down(api: Api) -> None:
    for _ in range(PER_ACCOUNT_AND_ADDRESS.attempts):
        assert 401 == await attempt(api, "owner@example.org", "192.0.2.1")
    assert 429 == await attempt(api, "OWNER@example.org", "192.0.2.1", PASSWORD)
    assert 200 == await attempt(api, "owner@example.org", "192.0.2.2", PASSWORD)
    assert 200 == await attempt(api, "editor@example.org", "192.0.2.1", PASSWORD)


async def test_success_costs_no_attempt(api: Api) -> None:
    for _ in range(PER_ACCOUNT_AND_ADDRESS.attempts + 1):
        assert 200 == await attempt(api, "owner@example.org", "192.0.2.1", PASSWORD)


@pytest.mark.parametrize("limit", [PER_ADDRESS, PER_ACCOUNT])
async def test_many_accounts_from_one_address_and_one_account_from_many_are_bounded(api: Api, limit: object) -> None:
    of_address = limit is PER_ADDRESS
    attempts = PER_ADDRESS.attempts if of_address else PER_ACCOUNT.attempts

    def who(n: int) -> tuple[str, str]:
        return (f"user{n}@example.org", "192.0.2.1") if of_address else ("owner@example.org", f"192.0.2.{n}")

    # the passwords are not verified here, which would take long
    for n in range(attempts):
        await api.parts.throttle.enter(*who(n))
    assert 429 == await attempt(api, *who(attempts), password=PASSWORD)


async def test_counters_of_attempts_leave_in_time(api: Api) -> None:
    await attempt(api, "owner@example.org", "192.0.2.1")
    await attempt(api, "owner@example.org", "192.0.2.1", PASSWORD)
    keys = [key async for key in api.redis.scan_iter("muster:throttle:*")]
    assert 3 == len(keys)
    left_ms = [await api.redis.pttl(key) for key in keys]
    assert all(0 < left <= 60_000 for left in left_ms)
