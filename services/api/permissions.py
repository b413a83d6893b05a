"""Who may do what: the one place where roles are compared. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from shared.errors import Forbidden, NotFound
from shared.io.problem import HttpError
from shared.tokens import Membership, Principal, Role, Scope, exceeding_scopes

Access = Literal["public", "known", "signed_in", "member", "read", "write", "manage", "administer"]
"""Whom a route is for:

public      anybody
known       whoever proves who they are, by a login or by an API token
signed_in   whoever proves it by a login: no API token opens it
member      a member of the workspace, by a login
read        a member of the workspace, or an API token that reads
write       an owner or editor, or an API token of theirs that writes
manage      an owner, or an API token of theirs that administers the workspace
administer  an administrator of the installation, by a login
"""

_BY_LOGIN: frozenset[Access] = frozenset({"signed_in", "member", "administer"})
_IN_WORKSPACE: frozenset[Access] = frozenset({"member", "read", "write", "manage"})
WRITERS: frozenset[Role] = frozenset({"owner", "editor"})
"""Who may write where nothing else is said."""

_OWNERS: frozenset[Role] = frozenset({"owner"})


class Caller(msgspec.Struct, frozen=True):
    """A user in the workspace that the request is about."""

    user_id: str
    workspace_id: str
    role: Role


def admit(
    principal: Principal,
    access: Access,
    *,
    named: str | None = None,
    at: str | None = None,
    writers: frozenset[Role] = WRITERS,
) -> Caller | None:
    """Let somebody who is known use a route; return them in their workspace, where the route is about one.

    `named` is the workspace that `X-Workspace` says, `at` the one that the path of the request does; `writers` are the
    roles that may use a route for writing. Raises Forbidden, HttpError for a user of several workspaces who has named
    none, and NotFound when they may not know of the one `at` the path. A workspace of others is answered for like one
    that does not exist.
    """
    if access in _BY_LOGIN and principal.is_program:
        raise Forbidden("an API token may not do this: sign in")
    if access == "administer" and not principal.is_admin:
        raise Forbidden("only an administrator of this installation may do this")
    if access not in _IN_WORKSPACE:
        return None
    membership = _chosen(principal, named) if at is None else _membership_at(principal, at)
    if access == "write" and membership.role not in writers:
        raise Forbidden(f"a {membership.role} may not change anything here")
    if access == "manage" and membership.role not in _OWNERS:
        raise Forbidden("only an owner of the workspace may do this")
    return Caller(principal.user_id, membership.workspace_id, membership.role)


def _chosen(principal: Principal, wanted: str | None) -> Membership:
    if wanted is None and len(principal.memberships) > 1:
        raise HttpError(400, "workspace_required", "you have several workspaces: name one with X-Workspace")
    for membership in principal.memberships:
        if wanted is None or membership.workspace_id == wanted:
            return membership
    raise Forbidden("you are no member of this workspace" if wanted is not None else "you have no workspace")


def _membership_at(principal: Principal, workspace_id: str) -> Membership:
    for membership in principal.memberships:
        if membership.workspace_id == workspace_id:
            return membership
    raise NotFound("there is no such workspace")


def require_scopes_within(role: Role, scopes: Sequence[Scope]) -> None:
    """Raise Forbidden for an API token of more than its maker may do."""
    exceeding = exceeding_scopes(role, scopes)
    if exceeding:
        raise Forbidden(f"a {role} may not make a token with the scope {', '.join(exceeding)}", field="scopes")


def sees_all_tokens(caller: Caller) -> bool:
    """Whether the caller may see and revoke the API tokens of all members of their workspace, not their own only."""
    return caller.role == "owner"
