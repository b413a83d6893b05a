"""Owners manage their workspace; it never loses the last of them, and nobody else learns that it is there."""

from typing import Any

import pytest

from tests.support.api import WORKSPACE, Api

WORKSPACES = "/api/v1/workspaces"
OURS = f"{WORKSPACES}/{WORKSPACE}"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; accounts need no log."""
    return sealed_api


async def test_a_new_workspace_belongs_to_who_made_it(api: Api) -> None:
    admin = await api.let_in("admin")
    assert [] == (await api.http.get(WORKSPACES, headers=admin)).json()["items"]
    made = await api.http.post(WORKSPACES, json={"name": "Berlin"}, headers=admin)
    assert (201, "Berlin", "owner") == (made.status_code, made.json()["name"], made.json()["role"])
    assert [made.json()] == (await api.http.get(WORKSPACES, headers=admin)).json()["items"]
    assert made.json() == (await api.http.get(f"{WORKSPACES}/{made.json()['id']}", headers=admin)).json()


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": "a\nb"}, {"name": 5}])
async def test_a_name_that_is_none_is_refused(api: Api, body: dict[str, Any]) -> None:
    answer = await api.http.post(WORKSPACES, json=body, headers=await api.let_in("admin"))
    assert (422, "name") == (answer.status_code, answer.json()["errors"][0]["field"])


async def test_another_name_is_seen_by_all_members_at_once(api: Api) -> None:
    viewer = await api.let_in("viewer")
    assert "Ours" == (await api.http.get(WORKSPACES, headers=viewer)).json()["items"][0]["name"]
    renamed = await api.http.patch(OURS, json={"name": "Hamburg"}, headers=await api.let_in("owner"))
    assert {"id": WORKSPACE, "name": "Hamburg", "role": "owner"} == renamed.json()
    assert "Hamburg" == (await api.http.get(WORKSPACES, headers=viewer)).json()["items"][0]["name"]


async def test_a_workspace_is_deleted_with_all_that_belongs_to_it_once_it_is_empty(api: Api) -> None:
    owner, program = await api.let_in("owner"), await api.let_program_in("viewer", "read")
    await api.pool.execute(
        "INSERT INTO metrics (workspace_id, id, version, ts) VALUES ($1, 's_1', 1, now())", WORKSPACE
    )
    refused = await api.http.delete(OURS, headers=owner)
    assert (409, "not_empty") == (refused.status_code, refused.json()["code"])
    await api.pool.execute("DELETE FROM metrics")
    assert 200 == (await api.http.get("/api/v1/me", headers=program)).status_code
    assert 204 == (await api.http.delete(OURS, headers=owner)).status_code
    assert 401 == (await api.http.get("/api/v1/me", headers=program)).status_code
    assert 404 == (await api.http.get(OURS, headers=owner)).status_code


async def test_members_see_each_other_in_pages(api: Api) -> None:
    viewer = await api.let_in("viewer")
    first = (await api.http.get(f"{OURS}/members?limit=3", headers=viewer)).json()
    second = (await api.http.get(f"{OURS}/members?cursor={first['next_cursor']}", headers=viewer)).json()
    found = [(member["id"], member["role"]) for member in first["items"] + second["items"]]
    assert [("u_both", "viewer"), ("u_editor", "editor"), ("u_owner", "owner"), ("u_viewer", "viewer")] == found
    assert second["next_cursor"] is None


async def test_a_role_holds_from_the_next_request_on(api: Api) -> None:
    owner, viewer = await api.let_in("owner"), await api.let_in("viewer")

    async def may_write() -> bool:
        answer = await api.http.post("/api/v1/enrolment-tokens", json={"name": "x"}, headers=viewer)
        return answer.status_code == 201

    held = [await may_write()]
    for role in ("editor", "viewer"):
        changed = await api.http.patch(f"{OURS}/members/u_viewer", json={"role": role}, headers=owner)
        assert (200, role) == (changed.status_code, changed.json()["role"])
        held.append(await may_write())
    assert [False, True, False] == held


async def test_who_is_removed_is_out_at_once_with_the_tokens_made_there(api: Api) -> None:
    owner, viewer = await api.let_in("owner"), await api.let_in("viewer")
    program = await api.let_program_in("viewer", "read")
    for headers in (viewer, program):
        assert 200 == (await api.http.get("/api/v1/servers", headers=headers)).status_code
    assert 204 == (await api.http.delete(f"{OURS}/members/u_viewer", headers=owner)).status_code
    statuses = [(await api.http.get("/api/v1/servers", headers=headers)).status_code for headers in (viewer, program)]
    assert [403, 401] == statuses


async def test_a_user_of_others_is_no_more_found_than_one_who_does_not_exist(api: Api) -> None:
    owner = await api.let_in("owner")
    for method in ("PATCH", "DELETE"):
        answers = [
            await api.http.request(method, f"{OURS}/members/{user_id}", json={"role": "viewer"}, headers=owner)
            for user_id in ("u_stranger", "u_unknown", "%00")
        ]
        assert [404, 404, 404] == [answer.status_code for answer in answers]
        assert 1 == len({answer.text for answer in answers})


@pytest.mark.parametrize("change", [{"role": "editor"}, None])
async def test_the_last_owner_stays(api: Api, change: dict[str, str] | None) -> None:
    owner = await api.let_in("owner")
    method = "DELETE" if change is None else "PATCH"
    answer = await api.http.request(method, f"{OURS}/members/u_owner", json=change, headers=owner)
    assert (409, "last_owner") == (answer.status_code, answer.json()["code"])
    assert "owner" == (await api.http.get(OURS, headers=owner)).json()["role"]


async def test_an_owner_who_is_disabled_does_not_count(api: Api) -> None:
    owner = await api.let_in("owner")
    await api.pool.execute("UPDATE members SET role = 'owner' WHERE user_id = 'u_editor'")
    await api.pool.execute("UPDATE users SET disabled_at = now() WHERE id = 'u_editor'")
    assert 409 == (await api.http.delete(f"{OURS}/members/u_owner", headers=owner)).status_code
    assert 204 == (await api.http.delete(f"{OURS}/members/u_editor", headers=owner)).status_code


async def test_of_owners_who_go_at_the_same_moment_one_stays(api: Api) -> None:
    await api.pool.execute("UPDATE members SET role = 'owner' WHERE workspace_id = $1", WORKSPACE)
    owner = await api.let_in("owner")
    answers = await api.at_one_moment(
        "SELECT FROM members FOR UPDATE",
        *(api.http.delete(f"{OURS}/members/u_{who}", headers=owner) for who in ("both", "viewer")),
        *(
            api.http.patch(f"{OURS}/members/u_{who}", json={"role": "viewer"}, headers=owner)
            for who in ("editor", "owner")
        ),
    )
    assert 3 == sum(answer.is_success for answer in answers)
    assert ["last_owner"] == [answer.json()["code"] for answer in answers if not answer.is_success]
    owners = await api.pool.fetchval(
        "SELECT count(*) FROM members WHERE workspace_id = $1 AND role = 'owner'", WORKSPACE
    )
    assert 1 == owners
