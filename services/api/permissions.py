"""Who may do what: the one place where roles are compared. Pure."""

from typing import Literal

import msgspec

from shared.errors import Forbidden
from shared.io.problem import HttpError
from shared.tokens import Membership, Principal, Role

Access = Literal["public", "session", "read", "write"]
"""What a route asks for: nothing, a user who is signed in, or a member of the workspace who may read or write."""

WRITERS: frozenset[Role] = frozenset({"owner", "editor"})
"""Who may write where nothing else is said."""


class Caller(msgspec.Struct, frozen=True):
    """A user in the workspace that the request is about."""

    user_id: str
    workspace_id: str
    role: Role


def choose_workspace(principal: Principal, wanted: str | None) -> Membership:
    """Return the membership that a request is about; `wanted` is what `X-Workspace` says.

    Raises Forbidden alike for a workspace that does not exist and for one of others, and HttpError when the user has
    several and named none.
    """
    if wanted is None and len(principal.memberships) > 1:
        raise HttpError(400, "workspace_required", "you have several workspaces: name one with X-Workspace")
    for membership in principal.memberships:
        if wanted is None or membership.workspace_id == wanted:
            return membership
    raise Forbidden("you are no member of this workspace" if wanted is not None else "you have no workspace")


def admit(principal: Principal, wanted: str | None, access: Access, writers: frozenset[Role] = WRITERS) -> Caller:
    """Let a user into a workspace to read, or one of the `writers` to write.

    Raises as `choose_workspace` does, and Forbidden.
    """
    membership = choose_workspace(principal, wanted)
    if access == "write" and membership.role not in writers:
        raise Forbidden(f"a {membership.role} may not change anything here")
    return Caller(principal.user_id, membership.workspace_id, membership.role)
