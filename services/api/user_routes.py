"""Routes of users, for administrators of the installation."""

from http import HTTPStatus

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from services.api.auth_routes import NO_STORE
from services.api.paging import PAGE_PARAMETERS, PagedOperation, page_query
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.requests import ApiRequest, actor_of, opt
from services.api.users import NewUser, User, UserChange, UserPage, Users
from shared.io.litestar_problems import documented


@get(
    "/users",
    opt=opt("administer", query=PAGE_PARAMETERS),
    operation_id="listUsers",
    operation_class=PagedOperation,
    summary="List the users of this installation",
    tags=["users"],
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def list_users(request: ApiRequest, users: NamedDependency[Users]) -> UserPage:
    """List the users by e-mail address."""
    return await users.page(page_query("email", request.query_params.multi_items()))


@post(
    "/users",
    opt=opt("administer"),
    operation_id="addUser",
    summary="Create a user",
    tags=["users"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
)
async def add_user(data: JSONBody[NewUser], request: ApiRequest, users: NamedDependency[Users]) -> Response[User]:
    """Create a user, who is a member of no workspace until they accept an invitation."""
    return Response(await users.add(data, actor_of(request)), headers=NO_STORE)


@get(
    "/users/{user_id:str}",
    opt=opt("administer"),
    operation_id="readUser",
    summary="Read a user",
    tags=["users"],
    responses=documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
)
async def read_user(user_id: FromPath[str], users: NamedDependency[Users]) -> User:
    """Read a user."""
    return await users.read(user_id)


@patch(
    "/users/{user_id:str}",
    opt=opt("administer"),
    operation_id="changeUser",
    summary="Disable or enable a user, or let them administer the installation",
    tags=["users"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def change_user(
    user_id: FromPath[str], data: JSONBody[UserChange], request: ApiRequest, users: NamedDependency[Users]
) -> User:
    """Change a user. One who is disabled is out at once, with their API tokens; enabled again, these are good again."""
    return await users.change(user_id, data, actor_of(request))


@delete(
    "/users/{user_id:str}",
    opt=opt("administer"),
    operation_id="deleteUser",
    summary="Delete a user",
    tags=["users"],
    responses=documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def delete_user(user_id: FromPath[str], request: ApiRequest, users: NamedDependency[Users]) -> None:
    """Delete a user, their memberships and API tokens; what they have written in workspaces stays."""
    await users.delete(user_id, actor_of(request))


USER_ROUTES = (list_users, add_user, read_user, change_user, delete_user)
