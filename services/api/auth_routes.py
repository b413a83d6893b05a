"""Routes of accounts: logging in and out, renewing tokens, who am I."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import Response
from msgspec import Meta

from services.api.accounts import Accounts, TokenPair
from services.api.passwords import MAX_PASSWORD_CHARACTERS, NewPassword
from services.api.problems import BODY_PROBLEMS, SESSION_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.requests import ApiRequest, opt, origin_of
from services.api.throttle import LoginThrottle
from services.api.workspaces import Workspace
from shared.io.address import address_of
from shared.io.litestar_problems import documented
from shared.validation import form

NO_STORE = {"Cache-Control": "no-store"}
ANYBODY: list[dict[str, list[str]]] = [{}]
"""OpenAPI's way to say that no token is needed."""


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants to log in."""

    email: Annotated[str, Meta(min_length=1, max_length=320), form(r"^[^\x00]*$", "text without NUL")]
    password: Annotated[str, Meta(min_length=1, max_length=MAX_PASSWORD_CHARACTERS)]


class RefreshRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refresh token that was not used yet."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=200)]


class Myself(msgspec.Struct, frozen=True):
    """The user who asks; by an API token nobody administers the installation."""

    id: str
    email: str
    is_admin: bool


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password that the user has, and the one that they want."""

    current: Annotated[str, Meta(min_length=1, max_length=MAX_PASSWORD_CHARACTERS)]
    new: NewPassword


class Me(msgspec.Struct, frozen=True):
    """The user who asks, and where they may go."""

    user: Myself
    workspaces: tuple[Workspace, ...]


def address_of_sender(request: ApiRequest) -> str:
    """Return the address whose attempts are counted together."""
    return address_of(request.client.host if request.client else "", request.headers.get("x-forwarded-for"))


@post(
    "/auth/login",
    opt=opt("public"),
    security=ANYBODY,
    status_code=200,
    operation_id="logIn",
    summary="Log in",
    tags=["accounts"],
    responses=documented(*SESSION_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.TOO_MANY_REQUESTS),
)
async def log_in(
    data: JSONBody[LoginRequest],
    request: ApiRequest,
    accounts: NamedDependency[Accounts],
    throttle: NamedDependency[LoginThrottle],
) -> Response[TokenPair]:
    """Open a session."""
    address = address_of_sender(request)
    await throttle.enter(data.email, address)
    pair = await accounts.log_in(data.email, data.password, origin_of(request))
    await throttle.forgive(data.email, address)
    return Response(pair, headers=NO_STORE)


@post(
    "/auth/refresh",
    opt=opt("public"),
    security=ANYBODY,
    status_code=200,
    operation_id="refresh",
    summary="Renew the tokens",
    tags=["accounts"],
    responses=documented(*SESSION_PROBLEMS, *BODY_PROBLEMS),
)
async def refresh(
    data: JSONBody[RefreshRequest], request: ApiRequest, accounts: NamedDependency[Accounts]
) -> Response[TokenPair]:
    """Renew the tokens. The refresh token is spent; using it again ends the session."""
    return Response(await accounts.refresh(data.refresh_token, origin_of(request)), headers=NO_STORE)


@post(
    "/auth/logout",
    opt=opt("signed_in"),
    status_code=204,
    operation_id="logOut",
    summary="Log out",
    tags=["accounts"],
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def log_out(request: ApiRequest, accounts: NamedDependency[Accounts]) -> None:
    """End the session: its tokens are good no longer, its streams are closed."""
    await accounts.log_out(request.user, origin_of(request))


@get(
    "/me",
    opt=opt("known"),
    operation_id="getMe",
    summary="Who asks",
    tags=["accounts"],
    responses=documented(*SESSION_PROBLEMS),
)
async def me(request: ApiRequest, accounts: NamedDependency[Accounts]) -> Response[Me]:
    """Say who asks, and which workspaces they have with which role."""
    principal = request.user
    workspaces = tuple(Workspace(m.workspace_id, m.name, m.role) for m in principal.memberships)
    user = Myself(principal.user_id, await accounts.email_of(principal.user_id), principal.is_admin)
    return Response(Me(user, workspaces), headers=NO_STORE)


@post(
    "/me/password",
    opt=opt("signed_in"),
    status_code=204,
    operation_id="changePassword",
    summary="Change your password",
    tags=["accounts"],
    responses=documented(*WORKSPACE_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.TOO_MANY_REQUESTS),
)
async def change_password(
    data: JSONBody[PasswordChange],
    request: ApiRequest,
    accounts: NamedDependency[Accounts],
    throttle: NamedDependency[LoginThrottle],
) -> None:
    """Change the password. Your other sessions end, with their streams; this one and your API tokens stay."""
    email, address = await accounts.email_of(request.user.user_id), address_of_sender(request)
    await throttle.enter(email, address)
    await accounts.change_password(request.user, data.current, data.new, origin_of(request))
    await throttle.forgive(email, address)


AUTH_ROUTES = (log_in, refresh, log_out, me, change_password)
