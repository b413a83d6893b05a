"""Every change of accounts is in the audit log: of users, workspaces, members, invitations and API tokens."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from shared.audit import INSTALLATION, Head
from shared.io.audit import verify
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

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


async def test_of_two_who_delete_a_workspace_at_the_same_moment_one_is_recorded(api: Api) -> None:
    owner = await api.let_in("owner")
    answers = await api.at_one_moment(
        "SELECT FROM workspaces FOR UPDATE", *(api.http.delete(OURS, headers=owner) for _ in range(2))
    )
    assert [204, 404] == sorted(answer.status_code for answer in answers)
    assert {WORKSPACE: 1} == await unbroken(api)
