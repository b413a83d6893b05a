"""Routes of invitations."""

from http import HTTPStatus

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from services.api.auth_routes import ANYBODY, NO_STORE, address_of_sender
from services.api.bodies import invalid
from services.api.invitations import (
    Acceptance,
    InvitationPage,
    Invitations,
    Joined,
    NewInvitation,
    ShownInvitation,
)
from services.api.paging import PAGE_PARAMETERS, PagedOperation, page_query
from services.api.permissions import admit
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.requests import ApiRequest, actor_of, bearer_token, opt, origin_of
from services.api.throttle import LoginThrottle
from shared.io.identity import Identity
from shared.io.litestar_problems import documented
from shared.io.problem import FieldError

_PROBLEMS = (*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND)


@post(
    "/workspaces/{workspace_id:str}/invitations",
    opt=opt("manage"),
    operation_id="addInvitation",
    summary="Invite somebody to a workspace",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS, *BODY_PROBLEMS),
)
async def add_invitation(
    workspace_id: FromPath[str],  # noqa: ARG001  (the guard has read it)
    data: JSONBody[NewInvitation],
    request: ApiRequest,
    invitations: NamedDependency[Invitations],
) -> Response[ShownInvitation]:
    """Invite an e-mail address; this answer is the only one that shows the token, which you pass on yourself."""
    return Response(await invitations.add(request.auth, data, origin_of(request)), headers=NO_STORE)


@get(
    "/workspaces/{workspace_id:str}/invitations",
    opt=opt("manage", query=PAGE_PARAMETERS),
    operation_id="listInvitations",
    operation_class=PagedOperation,
    summary="List the invitations to a workspace",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS),
)
async def list_invitations(
    workspace_id: FromPath[str], request: ApiRequest, invitations: NamedDependency[Invitations]
) -> InvitationPage:
    """List the invitations that can be accepted, the newest first."""
    return await invitations.page(workspace_id, page_query("-created_at", request.query_params.multi_items()))


@delete(
    "/workspaces/{workspace_id:str}/invitations/{invitation_id:str}",
    opt=opt("manage"),
    operation_id="deleteInvitation",
    summary="Take an invitation back",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS),
)
async def delete_invitation(
    workspace_id: FromPath[str],
    invitation_id: FromPath[str],
    request: ApiRequest,
    invitations: NamedDependency[Invitations],
) -> None:
    """Take an invitation back; it cannot be accepted any more."""
    await invitations.delete(workspace_id, invitation_id, actor_of(request))


@post(
    "/invitations/accept",
    opt=opt("public"),
    security=[*ANYBODY, {"bearer": []}],
    operation_id="acceptInvitation",
    summary="Accept an invitation",
    tags=["workspaces"],
    responses=documented(*_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.TOO_MANY_REQUESTS),
)
async def accept_invitation(
    data: JSONBody[Acceptance],
    request: ApiRequest,
    identity: NamedDependency[Identity],
    invitations: NamedDependency[Invitations],
    throttle: NamedDependency[LoginThrottle],
) -> Response[Joined]:
    """Become a member: signed in as who is invited, or with their password, which a new user chooses here.

    The token is used up. A member who accepts another invitation keeps the role that they have.
    """
    authorization, origin = request.headers.get("authorization"), origin_of(request)
    if authorization is not None:
        principal = await identity.authenticate(bearer_token(authorization))
        admit(principal, "signed_in")
        return Response(await invitations.accept_as(principal, data.token, origin), headers=NO_STORE)
    if data.password is None:
        raise invalid(FieldError("password", "sign in, or send the password of who is invited"))
    email, address = await invitations.email_of(data.token), address_of_sender(request)
    await throttle.enter(email, address)
    joined = await invitations.accept(data.token, data.password, origin)
    await throttle.forgive(email, address)
    return Response(joined, headers=NO_STORE)


INVITATION_ROUTES = (add_invitation, list_invitations, delete_invitation, accept_invitation)
