"""Who may do what, in which workspace."""

from datetime import UTC, datetime

import pytest

from services.api.permissions import Access, Caller, admit
from shared.errors import Forbidden
from shared.io.problem import HttpError
from shared.tokens import Membership, Principal, Role


def principal(**roles: Role) -> Principal:
    memberships = tuple(Membership(f"w_{name}", name, role) for name, role in roles.items())
    return Principal("u_1", "x_1", datetime(2030, 1, 1, tzinfo=UTC), memberships)


@pytest.mark.parametrize(
    ("role", "access"), [("owner", "write"), ("editor", "write"), ("viewer", "read"), ("owner", "read")]
)
def test_members_may_do_what_their_role_says(role: Role, access: Access) -> None:
    assert Caller("u_1", "w_a", role) == admit(principal(a=role), None, access)


def test_a_viewer_may_not_write() -> None:
    with pytest.raises(Forbidden):
        admit(principal(a="viewer"), None, "write")


def test_the_named_workspace_decides_about_the_role() -> None:
    user = principal(a="viewer", b="editor")
    assert "w_b" == admit(user, "w_b", "write").workspace_id
    with pytest.raises(Forbidden):
        admit(user, "w_a", "write")


def test_a_user_of_several_workspaces_must_name_one() -> None:
    with pytest.raises(HttpError) as error:
        admit(principal(a="owner", b="owner"), None, "read")
    assert (400, "workspace_required") == (error.value.status, error.value.code)


def test_a_workspace_of_others_is_refused_as_one_that_does_not_exist() -> None:
    refusals = []
    for wanted in ("w_theirs", "w_nowhere", "", "\x00"):
        with pytest.raises(Forbidden) as error:
            admit(principal(a="owner"), wanted, "read")
        refusals.append(str(error.value))
    assert 1 == len(set(refusals))


def test_a_user_without_workspaces_is_refused() -> None:
    with pytest.raises(Forbidden):
        admit(principal(), None, "read")
