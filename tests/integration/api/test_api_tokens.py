"""Programs act by API tokens: in one workspace, within their scopes, and never beyond who made them."""

from typing import Any

import pytest

from services.api.api_tokens import MAX_TOKENS
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

TOKENS = "/api/v1/tokens"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; accounts need no log."""
    return sealed_api


async def make(api: Api, who: str, *scopes: str, **fields: object) -> dict[str, Any]:
    headers = await api.let_in(who) | {"X-Workspace": WORKSPACE}
    answer = await api.http.post(TOKENS, json={"name": "robot", "scopes": scopes, **fields}, headers=headers)
    assert 201 == answer.status_code, answer.text
    token: dict[str, Any] = answer.json()
    return token


def bearer(token: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token['token']}"}


async def test_a_token_is_shown_once_and_stored_as_its_hash(api: Api) -> None:
    made = await make(api, "editor", "write")
    assert made["token"].startswith("mt_")
    stored = await api.pool.fetchrow("SELECT * FROM api_tokens")
    assert 32 == len(stored["token_hash"])
    assert made["token"] not in str(dict(stored))
    listed = (await api.http.get(TOKENS, headers=await api.let_in("editor"))).json()["items"]
    assert [{name: value for name, value in made.items() if name != "token"}] == listed


async def test_a_token_acts_in_its_workspace_alone(api: Api) -> None:
    program = bearer(await make(api, "both", "read"))
    me = (await api.http.get("/api/v1/me", headers=program)).json()
    assert ("u_both", [WORKSPACE]) == (me["user"]["id"], [workspace["id"] for workspace in me["workspaces"]])
    for workspace, status in ((WORKSPACE, 200), (OTHER_WORKSPACE, 403)):
        headers = program | {"X-Workspace": workspace}
        assert status == (await api.http.get("/api/v1/servers", headers=headers)).status_code


async def test_no_token_is_made_of_more_than_its_maker_may_do(api: Api) -> None:
    for who, scope in (("viewer", "write"), ("editor", "admin")):
        body = {"name": "robot", "scopes": ["read", scope]}
        answer = await api.http.post(TOKENS, json=body, headers=await api.let_in(who))
        assert (403, "scopes") == (answer.status_code, answer.json()["errors"][0]["field"])


async def test_a_token_shrinks_and_grows_with_the_role_of_its_maker(api: Api) -> None:
    program = bearer(await make(api, "editor", "write"))
    owner = await api.let_in("owner")
    statuses = []
    for role in ("editor", "viewer", "owner"):
        body = {"role": role}
        await api.http.patch(f"/api/v1/workspaces/{WORKSPACE}/members/u_editor", json=body, headers=owner)
        write = await api.http.post("/api/v1/enrolment-tokens", json={"name": "x"}, headers=program)
        manage = await api.http.get(f"/api/v1/workspaces/{WORKSPACE}/invitations", headers=program)
        statuses.append((write.status_code, manage.status_code))
    assert [(201, 403), (403, 403), (201, 403)] == statuses


async def test_a_revoked_token_is_refused_at_once(api: Api) -> None:
    made = await make(api, "editor", "read")
    assert 200 == (await api.http.get("/api/v1/me", headers=bearer(made))).status_code
    revoked = await api.http.delete(f"{TOKENS}/{made['id']}", headers=await api.let_in("editor"))
    assert 204 == revoked.status_code
    refused = await api.http.get("/api/v1/me", headers=bearer(made))
    assert (401, "unauthenticated") == (refused.status_code, refused.json()["code"])


async def test_members_see_their_own_tokens_and_owners_all(api: Api) -> None:
    made = {who: (await make(api, who, "read"))["id"] for who in ("owner", "editor", "viewer")}
    seen = {}
    for who in made:
        listed = (await api.http.get(TOKENS, headers=await api.let_in(who))).json()["items"]
        seen[who] = {token["id"] for token in listed}
    assert {"owner": set(made.values()), "editor": {made["editor"]}, "viewer": {made["viewer"]}} == seen
    for who, other, status in (("viewer", "editor", 404), ("stranger", "editor", 404), ("owner", "editor", 204)):
        answer = await api.http.delete(f"{TOKENS}/{made[other]}", headers=await api.let_in(who))
        assert status == answer.status_code


async def test_a_token_may_be_without_end(api: Api) -> None:
    assert (await make(api, "editor", "read", expires_in_s=None))["expires_at"] is None
    assert (await make(api, "editor", "read"))["expires_at"] is not None


async def test_the_list_comes_in_pages_the_newest_first(api: Api) -> None:
    made = [(await make(api, "editor", "read"))["id"] for _ in range(3)]
    editor = await api.let_in("editor")
    first = (await api.http.get(f"{TOKENS}?limit=2", headers=editor)).json()
    second = (await api.http.get(f"{TOKENS}?limit=2&cursor={first['next_cursor']}", headers=editor)).json()
    assert list(reversed(made)) == [token["id"] for token in first["items"] + second["items"]]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["name", "scopes"]),
        ({"name": "", "scopes": [], "expires_in_s": 0}, ["expires_in_s", "name", "scopes"]),
        ({"name": "x", "scopes": ["read", "sudo"], "colour": "red"}, ["colour", "scopes[1]"]),
    ],
)
async def test_every_wrong_field_of_a_token_is_named(api: Api, body: dict[str, Any], wrong: list[str]) -> None:
    answer = await api.http.post(TOKENS, json=body, headers=await api.let_in("editor"))
    assert (422, wrong) == (answer.status_code, sorted(error["field"] for error in answer.json()["errors"]))


async def test_a_member_has_a_bounded_number_of_tokens(api: Api) -> None:
    await api.pool.execute(
        "INSERT INTO api_tokens (id, workspace_id, user_id, name, scopes, token_hash) "
        "SELECT 't_' || n, $1, 'u_editor', 'x', '{read}', decode(md5(n::text), 'hex') FROM generate_series(1, $2) n",
        WORKSPACE,
        MAX_TOKENS,
    )
    body = {"name": "robot", "scopes": ["read"]}
    answer = await api.http.post(TOKENS, json=body, headers=await api.let_in("editor"))
    assert (422, "too_many") == (answer.status_code, answer.json()["code"])
