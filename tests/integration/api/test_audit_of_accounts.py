"""Every change of accounts is in the audit log: of users, workspaces, members, invitations and API tokens."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from shared.audit import INSTALLATION, Head
from shared.io.audit import verify
from tests.support.api import OTHER_WORKSPACE, PASSWORD, WORKSPACE, Api

AUDIT = "/api/v1/audit"
USERS = "/api/v1/users"
WORKSPACES = "/api/v1/workspaces"
OURS = f"{WORKSPACES}/{WORKSPACE}"
TOKENS = "/api/v1/tokens"
ACCEPT = "/api/v1/invitations/accept"
NEW_PASSWORD = "a password of some length"
FROM_OUTSIDE = {"X-Forwarded-For": "2001:db8::7", "X-Request-Id": "r-1"}


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; accounts need no log."""
    return sealed_api


class Person:
    """Somebody who asks from outside, and is answered with a status that is expected."""

    def __init__(self, api: Api, headers: dict[str, str]) -> None:
        self._api = api
        self._headers = headers | FROM_OUTSIDE

    async def ask(self, status: int, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  (JSON)
        answer: httpx.Response = await self._api.http.request(method, path, json=body, headers=self._headers)
        assert status == answer.status_code, answer.text
        return answer.json() if answer.content else None

    async def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask(200, "GET", AUDIT))["items"]
        assert all(("2001:db8::7", "r-1") == (each["origin"], each["request_id"]) for each in found)
        return found[::-1]


async def let_in(api: Api, who: str) -> Person:
    return Person(api, await api.let_in(who))


def said(entries: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(each[name] for name in ("actor", "action", "resource", "record_id", "details")) for each in entries]


async def stored(api: Api, workspace_id: str) -> list[dict[str, Any]]:
    """Return the entries of a chain that nobody can read over HTTP."""
    rows = await api.pool.fetch("SELECT * FROM audit_log WHERE workspace_id = $1 ORDER BY seq", workspace_id)
    assert all(("2001:db8::7", "r-1") == (row["origin"], row["request_id"]) for row in rows)
    return [dict(row) | {"details": msgspec.json.decode(row["details"])} for row in rows]


async def unbroken(api: Api) -> dict[str, int]:
    """Return how many entries each chain has; fails when one does not hold."""
    async with api.pool.acquire() as connection:
        ends = [end async for end in verify(connection)]
    lengths = {}
    for end in ends:
        assert isinstance(end, tuple), end
        workspace_id, head = end
        assert isinstance(head, Head)
        lengths[workspace_id] = head.seq
    return lengths


async def test_users(api: Api) -> None:
    admin, owner, stranger = [await let_in(api, who) for who in ("admin", "owner", "stranger")]
    new = await admin.ask(201, "POST", USERS, {"email": "new@example.org", "password": NEW_PASSWORD})
    for change in ({"is_admin": True}, {"is_admin": True}, {}, {"is_admin": False, "disabled": True}):
        await admin.ask(200, "PATCH", f"{USERS}/{new['id']}", change)
    await admin.ask(204, "DELETE", f"{USERS}/{new['id']}")
    assert [
        ("u_admin", "created", "users", new["id"], {"is_admin": False}),
        ("u_admin", "updated", "users", new["id"], {"is_admin": True}),
        ("u_admin", "updated", "users", new["id"], {"is_admin": False, "disabled": True}),
        ("u_admin", "deleted", "users", new["id"], {}),
    ] == said(await stored(api, INSTALLATION))
    await admin.ask(200, "PATCH", f"{USERS}/u_both", {"disabled": True})
    await admin.ask(204, "DELETE", f"{USERS}/u_both")
    of_member = [
        ("u_admin", "updated", "users", "u_both", {"disabled": True}),
        ("u_admin", "deleted", "users", "u_both", {}),
    ]
    assert of_member == said(await owner.entries())
    assert of_member == said(await stranger.entries())
    assert {INSTALLATION: 4, WORKSPACE: 2, OTHER_WORKSPACE: 2} == await unbroken(api)


async def test_workspaces_and_members(api: Api) -> None:
    admin, owner = await let_in(api, "admin"), await let_in(api, "owner")
    made = await admin.ask(201, "POST", WORKSPACES, {"name": "New"})
    for _ in range(2):
        await admin.ask(200, "PATCH", f"{WORKSPACES}/{made['id']}", {"name": "Newer"})
    found = said(await admin.entries())
    assert [
        ("u_admin", "created", "workspaces", made["id"], {"name": "New"}),
        ("u_admin", "updated", "workspaces", made["id"], {"name": "Newer"}),
    ] == found
    await admin.ask(204, "DELETE", f"{WORKSPACES}/{made['id']}")
    last = (await stored(api, made["id"]))[-1]
    assert [("u_admin", "deleted", "workspaces", made["id"], {})] == said([last])
    for _ in range(2):
        await owner.ask(200, "PATCH", f"{OURS}/members/u_viewer", {"role": "editor"})
    await owner.ask(204, "DELETE", f"{OURS}/members/u_viewer")
    assert [
        ("u_owner", "updated", "members", "u_viewer", {"role": "editor"}),
        ("u_owner", "deleted", "members", "u_viewer", {"role": "editor"}),
    ] == said(await owner.entries())
    assert {WORKSPACE: 2, made["id"]: 3} == await unbroken(api)


async def test_invitations_and_api_tokens(api: Api) -> None:
    owner, nobody, anybody = await let_in(api, "owner"), await let_in(api, "nobody"), Person(api, {})
    emails = ("new@example.org", "nobody@example.org", "editor@example.org", "unwanted@example.org")
    new, known, member, unwanted = [
        await owner.ask(201, "POST", f"{OURS}/invitations", {"email": email, "role": "viewer"}) for email in emails
    ]
    joined = await anybody.ask(201, "POST", ACCEPT, {"token": new["token"], "password": NEW_PASSWORD})
    await nobody.ask(201, "POST", ACCEPT, {"token": known["token"]})
    await anybody.ask(201, "POST", ACCEPT, {"token": member["token"], "password": PASSWORD})
    await owner.ask(204, "DELETE", f"{OURS}/invitations/{unwanted['id']}")
    token = await nobody.ask(201, "POST", TOKENS, {"name": "robot", "scopes": ["read"]})
    await owner.ask(204, "DELETE", f"{TOKENS}/{token['id']}")
    newcomer = joined["user_id"]
    assert [
        *[("u_owner", "created", "invitations", i["id"], {"role": "viewer"}) for i in (new, known, member, unwanted)],
        (newcomer, "created", "users", newcomer, {"is_admin": False}),
        (newcomer, "accepted", "invitations", new["id"], {"role": "viewer"}),
        ("u_nobody", "accepted", "invitations", known["id"], {"role": "viewer"}),
        ("u_editor", "accepted", "invitations", member["id"], {"role": "editor"}),
        ("u_owner", "deleted", "invitations", unwanted["id"], {}),
        ("u_nobody", "created", "api_tokens", token["id"], {"name": "robot", "scopes": ["read"]}),
        ("u_owner", "deleted", "api_tokens", token["id"], {"user": "u_nobody"}),
    ] == said(await owner.entries())
    assert {WORKSPACE: 11} == await unbroken(api)
    rows = [str(dict(row)) for row in await api.pool.fetch("TABLE audit_log")]
    secrets = {PASSWORD, NEW_PASSWORD, *emails, *(each["token"] for each in (new, known, member, unwanted, token))}
    assert [] == [secret for secret in secrets for row in rows if secret in row]


async def test_what_is_refused_is_not_recorded(api: Api) -> None:
    admin, owner, editor = [await let_in(api, who) for who in ("admin", "owner", "editor")]
    anybody = Person(api, {})
    await api.pool.execute("INSERT INTO tags VALUES ($1, 't_1', 1, 'hot', 'red', 0)", WORKSPACE)
    await api.pool.execute(
        "INSERT INTO invitations (id, workspace_id, email, role, token_hash, created_by, expires_at) "
        "VALUES ('i_1', $1, 'editor@example.org', 'owner', sha256('mi_1'), 'u_owner', now() + interval '1 day')",
        WORKSPACE,
    )
    for person, status, method, path, body in (
        (admin, 409, "POST", USERS, {"email": "owner@example.org", "password": NEW_PASSWORD}),
        (admin, 409, "PATCH", f"{USERS}/u_admin", {"is_admin": False}),
        (admin, 404, "PATCH", f"{USERS}/u_unknown", {"disabled": True}),
        (admin, 404, "DELETE", f"{USERS}/u_unknown", None),
        (admin, 409, "DELETE", f"{USERS}/u_owner", None),
        (owner, 403, "POST", USERS, {"email": "new@example.org", "password": NEW_PASSWORD}),
        (owner, 403, "POST", WORKSPACES, {"name": "New"}),
        (editor, 403, "PATCH", OURS, {"name": "Mine"}),
        (owner, 409, "DELETE", OURS, None),
        (owner, 409, "PATCH", f"{OURS}/members/u_owner", {"role": "viewer"}),
        (owner, 409, "DELETE", f"{OURS}/members/u_owner", None),
        (owner, 404, "DELETE", f"{OURS}/members/u_nobody", None),
        (editor, 403, "POST", f"{OURS}/invitations", {"email": "new@example.org", "role": "owner"}),
        (owner, 404, "DELETE", f"{OURS}/invitations/i_unknown", None),
        (owner, 404, "POST", ACCEPT, {"token": "mi_1"}),
        (anybody, 401, "POST", ACCEPT, {"token": "mi_1", "password": "not the right password"}),
        (editor, 403, "POST", TOKENS, {"name": "robot", "scopes": ["admin"]}),
        (editor, 404, "DELETE", f"{TOKENS}/t_unknown", None),
    ):
        await person.ask(status, method, path, body)
    assert [] == await api.pool.fetch("TABLE audit_log")


async def test_of_two_who_delete_a_workspace_at_the_same_moment_one_is_recorded(api: Api) -> None:
    owner = await api.let_in("owner")
    answers = await api.at_one_moment(
        "SELECT FROM workspaces FOR UPDATE", *(api.http.delete(OURS, headers=owner) for _ in range(2))
    )
    assert [204, 404] == sorted(answer.status_code for answer in answers)
    assert {WORKSPACE: 1} == await unbroken(api)


async def test_what_cannot_be_recorded_is_not_done(api: Api) -> None:
    async def accounts() -> list[list[asyncpg.Record]]:
        tables = ("users", "workspaces", "members", "invitations", "api_tokens", "enrolment_tokens")
        return [await api.pool.fetch(f"TABLE {table} ORDER BY 1, 2") for table in tables]

    admin, owner, editor = [await let_in(api, who) for who in ("admin", "owner", "editor")]
    emails = ("new@example.org", "nobody@example.org")
    invitation, other = [
        await owner.ask(201, "POST", f"{OURS}/invitations", {"email": email, "role": "viewer"}) for email in emails
    ]
    token = await editor.ask(201, "POST", TOKENS, {"name": "robot", "scopes": ["read"]})
    await api.pool.execute("ALTER TABLE audit_log ADD CHECK (false) NOT VALID")
    before = await accounts()
    for person, method, path, body in (
        (admin, "POST", USERS, {"email": "new@example.org", "password": NEW_PASSWORD}),
        (admin, "PATCH", f"{USERS}/u_viewer", {"disabled": True}),
        (admin, "DELETE", f"{USERS}/u_viewer", None),
        (admin, "POST", WORKSPACES, {"name": "New"}),
        (owner, "PATCH", OURS, {"name": "Newer"}),
        (owner, "DELETE", OURS, None),
        (owner, "PATCH", f"{OURS}/members/u_viewer", {"role": "editor"}),
        (owner, "DELETE", f"{OURS}/members/u_viewer", None),
        (owner, "POST", f"{OURS}/invitations", {"email": "new@example.org", "role": "viewer"}),
        (owner, "DELETE", f"{OURS}/invitations/{other['id']}", None),
        (Person(api, {}), "POST", ACCEPT, {"token": invitation["token"], "password": NEW_PASSWORD}),
        (editor, "POST", TOKENS, {"name": "robot", "scopes": ["read"]}),
        (owner, "DELETE", f"{TOKENS}/{token['id']}", None),
    ):
        await person.ask(500, method, path, body)
    assert before == await accounts()


async def test_administrators_read_what_concerns_no_workspace(api: Api) -> None:
    admin, owner = await let_in(api, "admin"), await let_in(api, "owner")
    new = await admin.ask(201, "POST", USERS, {"email": "new@example.org", "password": NEW_PASSWORD})
    await admin.ask(200, "PATCH", f"{USERS}/{new['id']}", {"disabled": True})
    page = await admin.ask(200, "GET", "/api/v1/installation/audit?limit=1")
    rest = await admin.ask(200, "GET", f"/api/v1/installation/audit?cursor={page['next_cursor']}")
    assert ["updated", "created"] == [each["action"] for each in page["items"] + rest["items"]]
    export = await api.http.get("/api/v1/installation/audit/export", headers=await api.let_in("admin"))
    assert [1, 2] == [msgspec.json.decode(line)["seq"] for line in export.content.splitlines()]
    await owner.ask(403, "GET", "/api/v1/installation/audit")
    assert [] == await owner.entries()
