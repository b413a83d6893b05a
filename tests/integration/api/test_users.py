"""Administrators create, disable and delete users; an installation never loses its last administrator."""

import asyncio
from typing import Any

import pytest

from tests.support.api import OTHER_WORKSPACE, PASSWORD, WORKSPACE, Api

USERS = "/api/v1/users"
LOGIN = "/api/v1/auth/login"
NEW = {"email": "New@example.org", "password": "a password of some length"}


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; accounts need no log."""
    return sealed_api


async def log_in(api: Api, email: str, password: str) -> int:
    return (await api.http.post(LOGIN, json={"email": email, "password": password})).status_code


async def test_a_user_who_was_created_can_sign_in(api: Api) -> None:
    admin = await api.let_in("admin")
    added = await api.http.post(USERS, json=NEW, headers=admin)
    assert 201 == added.status_code
    user = added.json()
    assert ("New@example.org", False, False) == (user["email"], user["is_admin"], user["disabled"])
    assert "password" not in added.text
    assert user == (await api.http.get(f"{USERS}/{user['id']}", headers=admin)).json()
    assert 200 == await log_in(api, "new@example.org", NEW["password"])


async def test_an_address_has_one_user_however_it_is_capitalised(api: Api) -> None:
    admin = await api.let_in("admin")
    answers = await asyncio.gather(*(api.http.post(USERS, json=NEW, headers=admin) for _ in range(3)))
    assert [201, 409, 409] == sorted(answer.status_code for answer in answers)
    again = await api.http.post(USERS, json=NEW | {"email": "NEW@example.org"}, headers=admin)
    assert (409, "email") == (again.status_code, again.json()["errors"][0]["field"])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"email": "nowhere", "password": "short"}, ["email", "password"]),
        ({"email": "a@b\n"}, ["email"]),
        ({"email": "a b@example.org"}, ["email"]),
        ({"email": f"{'x' * 250}@example.org"}, ["email"]),
        ({"password": "elevenchars"}, ["password"]),
        ({"password": "x" * 1025}, ["password"]),
        ({"password": "aaaaaaaaaaaab"}, ["password"]),
        ({"password": "new@EXAMPLE.org"}, ["password"]),
        ({"is_admin": "yes", "colour": "red"}, ["colour", "is_admin"]),
    ],
)
async def test_every_wrong_field_of_a_new_user_is_named(api: Api, fields: dict[str, Any], wrong: list[str]) -> None:
    answer = await api.http.post(USERS, json=NEW | fields, headers=await api.let_in("admin"))
    assert (422, wrong) == (answer.status_code, sorted(error["field"] for error in answer.json()["errors"]))


async def test_the_list_comes_in_pages_by_address(api: Api) -> None:
    admin, emails, parameters = await api.let_in("admin"), [], {"limit": "3"}
    while True:
        page = (await api.http.get(USERS, params=parameters, headers=admin)).json()
        emails.append([user["email"].partition("@")[0] for user in page["items"]])
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert [["admin", "both", "editor"], ["nobody", "owner", "stranger"], ["viewer"]] == emails


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=WyItY3JlYXRlZF9hdCIsIjIwMzAtMDEtMDFUMDA6MDA6MDBaIiwidV8xIl0", "cursor"),  # of a list in another order
        ("cursor=WyJlbWFpbCIsImFcdTAwMDAiLCJ1XzEiXQ", "cursor"),  # its value contains NUL
    ],
)
async def test_a_page_that_does_not_exist_is_refused(api: Api, query: str, field: str) -> None:
    answer = await api.http.get(f"{USERS}?{query}", headers=await api.let_in("admin"))
    assert (400, field) == (answer.status_code, answer.json()["errors"][0]["field"])


async def test_a_disabled_user_is_out_until_they_are_enabled(api: Api) -> None:
    admin, viewer = await api.let_in("admin"), await api.let_in("viewer")
    program = await api.let_program_in("viewer", "read")

    async def statuses() -> list[int]:
        asked = [(await api.http.get("/api/v1/me", headers=headers)).status_code for headers in (viewer, program)]
        return [*asked, await log_in(api, "viewer@example.org", PASSWORD)]

    assert [200, 200, 200] == await statuses()
    disabled = await api.http.patch(f"{USERS}/u_viewer", json={"disabled": True}, headers=admin)
    assert (200, True) == (disabled.status_code, disabled.json()["disabled"])
    assert [401, 401, 401] == await statuses()
    await api.http.patch(f"{USERS}/u_viewer", json={"disabled": False}, headers=admin)
    assert [401, 200, 200] == await statuses()  # the old session has ended


async def test_an_empty_change_changes_nothing(api: Api) -> None:
    admin = await api.let_in("admin")
    before = (await api.http.get(f"{USERS}/u_admin", headers=admin)).json()
    assert before == (await api.http.patch(f"{USERS}/u_admin", json={}, headers=admin)).json()


async def test_a_deleted_user_is_gone_with_all_that_was_theirs(api: Api) -> None:
    admin = await api.let_in("admin")
    viewer, program = await api.let_in("viewer"), await api.let_program_in("viewer", "read")
    for headers in (viewer, program):
        assert 200 == (await api.http.get("/api/v1/me", headers=headers)).status_code
    assert 204 == (await api.http.delete(f"{USERS}/u_viewer", headers=admin)).status_code
    for headers in (viewer, program):
        assert 401 == (await api.http.get("/api/v1/me", headers=headers)).status_code
    assert 404 == (await api.http.get(f"{USERS}/u_viewer", headers=admin)).status_code
    for table in ("sessions", "members", "api_tokens"):
        assert 0 == await api.pool.fetchval(f"SELECT count(*) FROM {table} WHERE user_id = 'u_viewer'")  # noqa: S608


async def test_what_is_no_user_is_not_found(api: Api) -> None:
    admin = await api.let_in("admin")
    for user_id in ("u_unknown", "%00", "a%20b", "x" * 65):
        for method in ("GET", "PATCH", "DELETE"):
            answer = await api.http.request(method, f"{USERS}/{user_id}", json={}, headers=admin)
            assert (404, "not_found") == (answer.status_code, answer.json()["code"]), user_id


async def test_a_change_of_who_administers_holds_at_once(api: Api) -> None:
    admin, editor = await api.let_in("admin"), await api.let_in("editor")
    assert 403 == (await api.http.get(USERS, headers=editor)).status_code
    await api.http.patch(f"{USERS}/u_editor", json={"is_admin": True}, headers=admin)
    assert 200 == (await api.http.get(USERS, headers=editor)).status_code
    await api.http.patch(f"{USERS}/u_editor", json={"is_admin": False}, headers=admin)
    assert 403 == (await api.http.get(USERS, headers=editor)).status_code


@pytest.mark.parametrize("change", [{"disabled": True}, {"is_admin": False}, None])
async def test_the_last_administrator_stays(api: Api, change: dict[str, bool] | None) -> None:
    admin = await api.let_in("admin")
    method = "DELETE" if change is None else "PATCH"
    answer = await api.http.request(method, f"{USERS}/u_admin", json=change, headers=admin)
    assert (409, "last_administrator") == (answer.status_code, answer.json()["code"])
    assert 200 == (await api.http.get(USERS, headers=admin)).status_code


async def test_of_administrators_who_go_at_the_same_moment_one_stays(api: Api) -> None:
    everybody = ("admin", "owner", "editor", "viewer", "both")
    await api.pool.execute("UPDATE users SET is_admin = id = ANY($1)", [f"u_{who}" for who in everybody])
    admin = await api.let_in("admin")
    answers = await api.at_one_moment(
        "SELECT FROM users FOR UPDATE",
        *(api.http.patch(f"{USERS}/u_{who}", json={"is_admin": False}, headers=admin) for who in everybody),
    )
    assert 4 == sum(answer.is_success for answer in answers)
    assert ["last_administrator"] == [answer.json()["code"] for answer in answers if not answer.is_success]
    assert 1 == await api.pool.fetchval("SELECT count(*) FROM users WHERE is_admin AND disabled_at IS NULL")


async def test_the_last_owner_of_a_workspace_cannot_be_deleted(api: Api) -> None:
    admin = await api.let_in("admin")
    answer = await api.http.delete(f"{USERS}/u_owner", headers=admin)
    assert (409, "last_owner") == (answer.status_code, answer.json()["code"])
    assert WORKSPACE in (await api.http.get("/api/v1/me", headers=await api.let_in("owner"))).text
    await api.pool.execute("UPDATE members SET role = 'owner' WHERE user_id = 'u_editor'")
    assert 204 == (await api.http.delete(f"{USERS}/u_owner", headers=admin)).status_code


async def test_of_two_owners_who_are_deleted_and_removed_at_the_same_moment_one_stays(api: Api) -> None:
    await api.pool.execute("UPDATE members SET role = 'owner' WHERE user_id = 'u_editor'")
    admin, owner = await api.let_in("admin"), await api.let_in("owner")
    answers = await api.at_one_moment(
        "SELECT FROM members FOR UPDATE",
        api.http.delete(f"{USERS}/u_owner", headers=admin),
        api.http.delete(f"/api/v1/workspaces/{WORKSPACE}/members/u_editor", headers=owner),
    )
    assert [204, 409] == sorted(answer.status_code for answer in answers)
    owners = await api.pool.fetchval(
        "SELECT count(*) FROM members WHERE role = 'owner' AND workspace_id <> $1", OTHER_WORKSPACE
    )
    assert 1 == owners
