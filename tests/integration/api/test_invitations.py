"""With an invitation somebody becomes a member: once, in time, and only who is invited."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.api import OTHER_WORKSPACE, PASSWORD, WORKSPACE, Api

INVITATIONS = f"/api/v1/workspaces/{WORKSPACE}/invitations"
ACCEPT = "/api/v1/invitations/accept"
NEW_PASSWORD = "a password of some length"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; accounts need no log."""
    return sealed_api


async def invite(api: Api, email: str, role: str = "editor", **fields: object) -> dict[str, Any]:
    body = {"email": email, "role": role, **fields}
    answer = await api.http.post(INVITATIONS, json=body, headers=await api.let_in("owner"))
    assert 201 == answer.status_code, answer.text
    invitation: dict[str, Any] = answer.json()
    return invitation


async def accept(
    api: Api, token: str, password: str | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    body = {"token": token} | ({} if password is None else {"password": password})
    return await api.http.post(ACCEPT, json=body, headers=headers)


async def test_who_is_no_user_becomes_one(api: Api) -> None:
    invitation = await invite(api, "new@example.org")
    joined = await accept(api, invitation["token"], NEW_PASSWORD)
    assert 201 == joined.status_code
    assert "new@example.org" == joined.json()["email"]
    assert {"id": WORKSPACE, "name": "Ours", "role": "editor"} == joined.json()["workspace"]
    login = {"email": "new@example.org", "password": NEW_PASSWORD}
    pair = (await api.http.post("/api/v1/auth/login", json=login)).json()
    me = await api.http.get("/api/v1/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert (False, [joined.json()["workspace"]]) == (me.json()["user"]["is_admin"], me.json()["workspaces"])


async def test_a_user_accepts_signed_in_and_is_a_member_at_once(api: Api) -> None:
    nobody = await api.let_in("nobody")
    assert 403 == (await api.http.get("/api/v1/servers", headers=nobody)).status_code
    invitation = await invite(api, "Nobody@Example.org", "viewer")
    assert 201 == (await accept(api, invitation["token"], headers=nobody)).status_code
    assert 200 == (await api.http.get("/api/v1/servers", headers=nobody)).status_code


async def test_a_user_accepts_with_the_password_that_they_have(api: Api) -> None:
    invitation = await invite(api, "nobody@example.org")
    wrong = await accept(api, invitation["token"], "not the right password")
    assert (401, "wrong_credentials") == (wrong.status_code, wrong.json()["code"])
    assert "u_nobody" == (await accept(api, invitation["token"], PASSWORD)).json()["user_id"]


async def test_without_a_password_nobody_learns_whether_there_is_a_user(api: Api) -> None:
    answers = [
        await accept(api, (await invite(api, email))["token"]) for email in ("nobody@example.org", "new@example.org")
    ]
    assert [(422, "password")] * 2 == [(a.status_code, a.json()["errors"][0]["field"]) for a in answers]
    assert answers[0].json() == answers[1].json()


async def test_an_invitation_is_for_nobody_else(api: Api) -> None:
    token = (await invite(api, "new@example.org"))["token"]
    for who in ("stranger", "owner"):
        assert 404 == (await accept(api, token, headers=await api.let_in(who))).status_code
    program = await api.let_program_in("viewer", "read")
    assert 403 == (await accept(api, token, headers=program)).status_code
    assert 401 == (await accept(api, token, headers={"Authorization": "Bearer nonsense"})).status_code


async def test_an_invitation_is_good_once(api: Api) -> None:
    invitation = await invite(api, "nobody@example.org")
    nobody = await api.let_in("nobody")
    answers = await asyncio.gather(*(accept(api, invitation["token"], headers=nobody) for _ in range(4)))
    assert [201, 404, 404, 404] == sorted(answer.status_code for answer in answers)


async def test_of_several_who_become_a_user_by_one_invitation_one_does(api: Api) -> None:
    invitation = await invite(api, "new@example.org")
    answers = await asyncio.gather(*(accept(api, invitation["token"], NEW_PASSWORD) for _ in range(3)))
    assert 1 == sum(answer.status_code == 201 for answer in answers)
    assert 1 == await api.pool.fetchval("SELECT count(*) FROM users WHERE email = 'new@example.org'")


async def test_an_invitation_that_is_over_or_taken_back_is_answered_for_like_none(api: Api) -> None:
    over, taken_back = await invite(api, "one@example.org"), await invite(api, "two@example.org")
    await api.pool.execute("UPDATE invitations SET expires_at = now() WHERE id = $1", over["id"])
    owner = await api.let_in("owner")
    assert 204 == (await api.http.delete(f"{INVITATIONS}/{taken_back['id']}", headers=owner)).status_code
    answers = [
        await accept(api, token, NEW_PASSWORD)
        for token in (over["token"], taken_back["token"], "mi_unknown", "\x00", "é")
    ]
    assert {404} == {answer.status_code for answer in answers}
    assert 1 == len({answer.text for answer in answers})


async def test_who_is_disabled_cannot_accept(api: Api) -> None:
    invitation = await invite(api, "nobody@example.org")
    await api.pool.execute("UPDATE users SET disabled_at = now() WHERE id = 'u_nobody'")
    refused = await accept(api, invitation["token"], PASSWORD)
    assert (401, "wrong_credentials") == (refused.status_code, refused.json()["code"])


async def test_a_member_who_accepts_keeps_their_role(api: Api) -> None:
    joined = await accept(api, (await invite(api, "viewer@example.org", "owner"))["token"], PASSWORD)
    assert "viewer" == joined.json()["workspace"]["role"]


async def test_owners_see_and_take_back_the_invitations_to_their_workspace_only(api: Api) -> None:
    made = [await invite(api, f"{n}@example.org") for n in range(3)]
    owner, stranger = await api.let_in("owner"), await api.let_in("stranger")
    first = (await api.http.get(f"{INVITATIONS}?limit=2", headers=owner)).json()
    second = (await api.http.get(f"{INVITATIONS}?cursor={first['next_cursor']}", headers=owner)).json()
    listed = first["items"] + second["items"]
    assert [one["id"] for one in reversed(made)] == [one["id"] for one in listed]
    assert not [one for one in listed if "token" in one]
    theirs = f"/api/v1/workspaces/{OTHER_WORKSPACE}/invitations/{made[0]['id']}"
    assert 404 == (await api.http.delete(theirs, headers=stranger)).status_code
    assert 3 == await api.pool.fetchval("SELECT count(*) FROM invitations")


async def test_the_token_is_stored_as_its_hash(api: Api) -> None:
    token = (await invite(api, "new@example.org"))["token"]
    stored = await api.pool.fetchrow("SELECT * FROM invitations")
    assert 32 == len(stored["token_hash"])
    assert token not in str(dict(stored))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["email", "role"]),
        ({"email": "x", "role": "king", "expires_in_s": 1}, ["email", "expires_in_s", "role"]),
    ],
)
async def test_every_wrong_field_of_an_invitation_is_named(api: Api, body: dict[str, Any], wrong: list[str]) -> None:
    answer = await api.http.post(INVITATIONS, json=body, headers=await api.let_in("owner"))
    assert (422, wrong) == (answer.status_code, sorted(error["field"] for error in answer.json()["errors"]))


async def test_guessing_the_password_with_an_invitation_is_slowed_down(api: Api) -> None:
    token = (await invite(api, "nobody@example.org"))["token"]
    for _ in range(10):
        assert 401 == (await accept(api, token, "not the right password")).status_code
    assert 429 == (await accept(api, token, PASSWORD)).status_code
