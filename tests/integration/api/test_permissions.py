"""Every endpoint for everybody, in their own workspace and in another: a table that no new route can leave out."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from services.api.app import build_app
from services.api.permissions import Access
from shared.resources import RESOURCES
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

# whom each endpoint is for, in the words of `Access`
TABLE: dict[tuple[str, str], Access] = {
    ("GET", "/api/openapi.json"): "public",
    ("GET", "/api/v1/download/agent/{os}/{arch}/{version}"): "public",
    ("GET", "/api/v1/download/install.sh"): "public",
    ("HEAD", "/api/v1/download/agent/{os}/{arch}/{version}"): "public",
    ("HEAD", "/api/v1/download/install.sh"): "public",
    ("POST", "/api/v1/auth/login"): "public",
    ("POST", "/api/v1/auth/refresh"): "public",
    ("POST", "/api/v1/invitations/accept"): "public",
    ("GET", "/api/v1/me"): "known",
    ("GET", "/api/v1/workspaces"): "known",
    ("POST", "/api/v1/auth/logout"): "signed_in",
    ("POST", "/api/v1/me/password"): "signed_in",
    ("GET", "/api/v1/users"): "administer",
    ("POST", "/api/v1/users"): "administer",
    ("GET", "/api/v1/users/{user_id}"): "administer",
    ("PATCH", "/api/v1/users/{user_id}"): "administer",
    ("DELETE", "/api/v1/users/{user_id}"): "administer",
    ("POST", "/api/v1/workspaces"): "administer",
    ("POST", "/api/v1/tokens"): "member",
    ("GET", "/api/v1/tokens"): "member",
    ("DELETE", "/api/v1/tokens/{token_id}"): "member",
    ("GET", "/api/v1/workspaces/{workspace_id}"): "read",
    ("GET", "/api/v1/workspaces/{workspace_id}/members"): "read",
    ("PATCH", "/api/v1/workspaces/{workspace_id}"): "manage",
    ("DELETE", "/api/v1/workspaces/{workspace_id}"): "manage",
    ("PATCH", "/api/v1/workspaces/{workspace_id}/members/{user_id}"): "manage",
    ("DELETE", "/api/v1/workspaces/{workspace_id}/members/{user_id}"): "manage",
    ("GET", "/api/v1/workspaces/{workspace_id}/invitations"): "manage",
    ("POST", "/api/v1/workspaces/{workspace_id}/invitations"): "manage",
    ("DELETE", "/api/v1/workspaces/{workspace_id}/invitations/{invitation_id}"): "manage",
    ("GET", "/api/sync/status"): "read",
    ("GET", "/api/sync/changes"): "read",
    ("DELETE", "/api/v1/servers/{record_id}"): "write",
    ("POST", "/api/v1/servers/tags"): "write",
    ("GET", "/api/v1/servers/{record_id}/metrics"): "read",
    ("GET", "/api/v1/servers/{record_id}/inventory"): "read",
    ("GET", "/api/v1/servers/{record_id}/inventory/history"): "read",
    ("POST", "/api/v1/enrolment-tokens"): "write",
    ("GET", "/api/v1/enrolment-tokens"): "write",
    ("DELETE", "/api/v1/enrolment-tokens/{token_id}"): "write",
    ("GET", "/api/v1/agents/claims"): "write",
    ("GET", "/api/v1/agents/{agent_id}/identity"): "write",
    ("POST", "/api/v1/agents/{agent_id}/claim/approval"): "write",
    ("DELETE", "/api/v1/agents/{agent_id}/claim"): "write",
    ("POST", "/api/v1/agents/{agent_id}/rotation"): "write",
    ("POST", "/api/v1/agents/{agent_id}/revocation"): "write",
    ("POST", "/api/v1/relays"): "write",
    ("GET", "/api/v1/relays"): "write",
    ("DELETE", "/api/v1/relays/{relay_id}"): "write",
    ("GET", "/api/v1/audit"): "manage",
    ("GET", "/api/v1/audit/export"): "manage",
    ("GET", "/api/v1/installation/audit"): "administer",
    ("GET", "/api/v1/installation/audit/export"): "administer",
}

# and those that every resource has
OF_RESOURCES: dict[tuple[str, str], Access] = {
    ("GET", "/api/v1/{name}"): "read",
    ("GET", "/api/v1/{name}/{record_id}"): "read",
}
OF_EDITABLE: dict[tuple[str, str], Access] = {
    ("POST", "/api/v1/{name}"): "write",
    ("POST", "/api/v1/{name}/bulk"): "write",
    ("PUT", "/api/v1/{name}/{record_id}"): "write",
    ("PATCH", "/api/v1/{name}/{record_id}"): "write",
    ("GET", "/api/v1/{name}/export"): "read",
    ("POST", "/api/v1/{name}/import"): "write",
}
OF_DELETABLE: dict[tuple[str, str], Access] = {("DELETE", "/api/v1/{name}/{record_id}"): "write"}
OF_JOURNALLED: dict[tuple[str, str], Access] = {
    ("GET", "/api/v1/{name}/{record_id}/changes"): "read",
    ("POST", "/api/v1/{name}/{record_id}/revert"): "write",
}
for resource in RESOURCES.values():
    shared_by = (
        OF_RESOURCES,
        OF_EDITABLE if resource.editable else {},
        OF_DELETABLE if resource.deletable else {},
        OF_JOURNALLED if resource.journalled else {},
    )
    for routes in shared_by:
        TABLE |= {(method, path.replace("{name}", resource.name)): access for (method, path), access in routes.items()}

# of each who comes: how (no token, a login, or an API token), and as whom
ANONYMOUS, LOGIN, PROGRAM = "anonymous", "login", "program"
CALLERS: dict[str, tuple[str, str]] = {
    "anonymous": (ANONYMOUS, ""),
    "viewer": (LOGIN, "viewer"),
    "editor": (LOGIN, "editor"),
    "owner": (LOGIN, "owner"),
    "admin": (LOGIN, "admin"),
    "stranger": (LOGIN, "stranger"),  # owns the other workspace
    "reading": (PROGRAM, "read"),
    "writing": (PROGRAM, "write"),
    "administering": (PROGRAM, "admin"),
}
MEMBERS = {
    WORKSPACE: {"viewer", "editor", "owner", "reading", "writing", "administering"},
    OTHER_WORKSPACE: {"stranger"},
}
LOGINS = {who for who, (how, _) in CALLERS.items() if how == LOGIN}
ENTITLED: dict[Access, set[str]] = {
    "public": set(CALLERS),
    "known": set(CALLERS) - {"anonymous"},
    "signed_in": LOGINS,
    "administer": {"admin"},
    "member": {"viewer", "editor", "owner", "stranger"},
    "read": {"viewer", "editor", "owner", "stranger", "reading", "writing", "administering"},
    "write": {"editor", "owner", "stranger", "writing", "administering"},
    "manage": {"owner", "stranger", "administering"},
}
OF_WORKSPACES: set[Access] = {"member", "read", "write", "manage"}
NO_SUCH_WORKSPACE = "there is no such workspace"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; who may do what is decided without the log."""
    return sealed_api


def expected(access: Access, path: str, who: str, workspace: str) -> str:
    if who == "anonymous" and access != "public":
        return "401"
    is_inside = access not in OF_WORKSPACES or who in MEMBERS[workspace]
    if is_inside and who in ENTITLED[access]:
        return "through"
    return "403" if is_inside or "{workspace_id}" not in path else "hidden"


def outcome(answer: httpx.Response) -> str:
    if answer.status_code in {401, 403}:
        return str(answer.status_code)
    if answer.status_code == 404 and answer.request.method != "HEAD" and answer.json()["detail"] == NO_SUCH_WORKSPACE:
        return "hidden"
    assert answer.status_code < 500 or answer.status_code == 503, answer.text  # the log is sealed
    return "through"


async def ask(api: Api, who: str, method: str, path: str, workspace: str) -> httpx.Response:
    """Ask with a fresh login or token, so that what one request ends does not matter to the next."""
    how, name = CALLERS[who]
    headers = {"Content-Type": "application/json", "X-Workspace": workspace}
    if how == LOGIN:
        headers |= await api.let_in(name)
    elif how == PROGRAM:
        scopes: dict[str, Any] = {"read": ("read",), "write": ("read", "write"), "admin": ("admin",)}
        headers |= await api.let_program_in("owner", *scopes[name])
    url = path.replace("{workspace_id}", workspace).replace("{", "").replace("}", "")
    return await api.http.request(method, url, headers=headers, content=b"{}")


async def test_every_route_has_its_entry_in_the_table(api: Api) -> None:
    routes = [route for route in build_app(api.parts).routes if isinstance(route, HTTPRoute)]
    there = {(method, route.path_format) for route in routes for method in route.methods if method != "OPTIONS"}
    assert set(TABLE) == there


@pytest.mark.parametrize("who", CALLERS)
async def test_who_may_use_which_endpoint_in_which_workspace(api: Api, who: str) -> None:
    # what holds records cannot be deleted, even by those who may
    await api.pool.execute(
        "INSERT INTO agents SELECT id, 'a_1', 1, '', '{}', true, now(), 0, 0, '', '', now(), now() FROM workspaces"
    )
    for (method, path), access in TABLE.items():
        found = {
            workspace: outcome(await ask(api, who, method, path, workspace))
            for workspace in (WORKSPACE, OTHER_WORKSPACE)
        }
        wanted = {workspace: expected(access, path, who, workspace) for workspace in found}
        assert wanted == found, f"{method} {path}"


@pytest.mark.parametrize("who", ["owner", "administering", "admin"])
async def test_a_workspace_of_others_is_answered_for_like_one_that_does_not_exist(api: Api, who: str) -> None:
    for (method, path), access in TABLE.items():
        if access in OF_WORKSPACES:
            theirs, nowhere = [
                await ask(api, who, method, path, workspace) for workspace in (OTHER_WORKSPACE, "w_nowhere")
            ]
            assert (nowhere.status_code, nowhere.json()) == (theirs.status_code, theirs.json()), f"{method} {path}"
