"""Routes of workspaces and their members."""

from http import HTTPStatus

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.api.paging import PAGE_PARAMETERS, PagedOperation, page_query
from services.api.problems import BODY_PROBLEMS, SESSION_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.requests import ApiRequest, actor_of, opt
from services.api.workspaces import (
    Member,
    MemberPage,
    NewRole,
    Workspace,
    WorkspaceList,
    WorkspaceName,
    Workspaces,
)
from shared.io.litestar_problems import documented

_PROBLEMS = (*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND)


@get(
    "/workspaces",
    opt=opt("known"),
    operation_id="listWorkspaces",
    summary="List your workspaces",
    tags=["workspaces"],
    responses=documented(*SESSION_PROBLEMS),
)
async def list_workspaces(request: ApiRequest) -> WorkspaceList:
    """List the workspaces of the user who asks; by an API token, the one that it is bound to."""
    return WorkspaceList([Workspace(m.workspace_id, m.name, m.role) for m in request.user.memberships])


@post(
    "/workspaces",
    opt=opt("administer"),
    operation_id="addWorkspace",
    summary="Create a workspace",
    tags=["workspaces"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS),
)
async def add_workspace(
    data: JSONBody[WorkspaceName], request: ApiRequest, workspaces: NamedDependency[Workspaces]
) -> Workspace:
    """Create a workspace. Who asks owns it, until they have invited another owner and removed themselves."""
    return await workspaces.add(data, actor_of(request))


@get(
    "/workspaces/{workspace_id:str}",
    opt=opt("read"),
    operation_id="readWorkspace",
    summary="Read a workspace",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS),
)
async def read_workspace(
    workspace_id: FromPath[str],  # noqa: ARG001  (the guard has read it)
    request: ApiRequest,
    workspaces: NamedDependency[Workspaces],
) -> Workspace:
    """Read a workspace of yours."""
    return await workspaces.read(request.auth)


@patch(
    "/workspaces/{workspace_id:str}",
    opt=opt("manage"),
    operation_id="renameWorkspace",
    summary="Rename a workspace",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS, *BODY_PROBLEMS),
)
async def rename_workspace(
    workspace_id: FromPath[str],
    data: JSONBody[WorkspaceName],
    request: ApiRequest,
    workspaces: NamedDependency[Workspaces],
) -> Workspace:
    """Call a workspace otherwise."""
    await workspaces.rename(workspace_id, data, actor_of(request))
    return Workspace(workspace_id, data.name, request.auth.role)


@delete(
    "/workspaces/{workspace_id:str}",
    opt=opt("manage"),
    operation_id="deleteWorkspace",
    summary="Delete a workspace that has no records",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS, HTTPStatus.CONFLICT),
)
async def delete_workspace(
    workspace_id: FromPath[str], request: ApiRequest, workspaces: NamedDependency[Workspaces]
) -> None:
    """Delete a workspace with its memberships, invitations and tokens; 409 while it has records."""
    await workspaces.delete(workspace_id, actor_of(request))


@get(
    "/workspaces/{workspace_id:str}/members",
    opt=opt("read", query=PAGE_PARAMETERS),
    operation_id="listMembers",
    operation_class=PagedOperation,
    summary="List the members of a workspace",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS),
)
async def list_members(
    workspace_id: FromPath[str], request: ApiRequest, workspaces: NamedDependency[Workspaces]
) -> MemberPage:
    """List the members by e-mail address. New ones come by invitation."""
    return await workspaces.members(workspace_id, page_query("email", request.query_params.multi_items()))


@patch(
    "/workspaces/{workspace_id:str}/members/{user_id:str}",
    opt=opt("manage"),
    operation_id="changeMember",
    summary="Give a member another role",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
)
async def change_member(
    workspace_id: FromPath[str],
    user_id: FromPath[str],
    data: JSONBody[NewRole],
    request: ApiRequest,
    workspaces: NamedDependency[Workspaces],
) -> Member:
    """Give a member another role; the last owner stays one (409)."""
    return await workspaces.set_role(workspace_id, user_id, data, actor_of(request))


@delete(
    "/workspaces/{workspace_id:str}/members/{user_id:str}",
    opt=opt("manage"),
    operation_id="removeMember",
    summary="Remove a member",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS, HTTPStatus.CONFLICT),
)
async def remove_member(
    workspace_id: FromPath[str],
    user_id: FromPath[str],
    request: ApiRequest,
    workspaces: NamedDependency[Workspaces],
) -> None:
    """Remove a member, with the API tokens that they have made here; the last owner stays (409)."""
    await workspaces.remove_member(workspace_id, user_id, actor_of(request))


WORKSPACE_ROUTES = (
    list_workspaces,
    add_workspace,
    read_workspace,
    rename_workspace,
    delete_workspace,
    list_members,
    change_member,
    remove_member,
)
