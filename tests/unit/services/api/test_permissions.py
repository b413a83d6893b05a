"""Who may do what, in which workspace."""

from datetime import UTC, datetime

import pytest

from services.api.permissions import Access, Caller, admit, require_scopes_within
from shared.errors import Forbidden, NotFound
from shared.io.problem import HttpError
from shared.tokens import Membership, Principal, Role


def principal(*, is_admin: bool = False, is_program: bool = False, **roles: Role) -> Principal:
    memberships = tuple(Membership(f"w_{name}", name, role) for name, role in roles.items())
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    return Principal("u_1", "x_1", ends, memberships, is_admin=is_admin, is_program=is_program)


@pytest.mark.parametrize(
    ("role", "access"),
    [
        ("owner", "write"),
        ("editor", "write"),
        ("viewer", "read"),
        ("owner", "read"),
        ("viewer", "member"),
        ("owner", "manage"),
    ],
)
def test_members_may_do_what_their_role_says(role: Role, access: Access) -> None:
    assert Caller("u_1", "w_a", role) == admit(principal(a=role), access)


@pytest.mark.parametrize(("role", "access"), [("viewer", "write"), ("viewer", "manage"), ("editor", "manage")])
def test_members_may_not_do_more(role: Role, access: Access) -> None:
    with pytest.raises(Forbidden):
        admit(principal(a=role), access)


def test_the_named_workspace_decides_about_the_role() -> None:
    user = principal(a="viewer", b="editor")
    assert Caller("u_1", "w_b", "editor") == admit(user, "write", named="w_b")
    with pytest.raises(Forbidden):
        admit(user, "write", named="w_a")


def test_the_workspace_of_the_path_wins_over_the_header() -> None:
    user = principal(a="viewer", b="owner")
    assert Caller("u_1", "w_b", "owner") == admit(user, "manage", named="w_a", at="w_b")


def test_a_user_of_several_workspaces_must_name_one() -> None:
    with pytest.raises(HttpError) as error:
        admit(principal(a="owner", b="owner"), "read")
    assert (400, "workspace_required") == (error.value.status, error.value.code)


def test_a_workspace_of_others_is_refused_as_one_that_does_not_exist() -> None:
    refusals = []
    for wanted in ("w_theirs", "w_nowhere", "", "\x00"):
        with pytest.raises(Forbidden) as forbidden:
            admit(principal(a="owner"), "read", named=wanted)
        with pytest.raises(NotFound) as not_found:
            admit(principal(a="owner"), "read", at=wanted)
        refusals.append((str(forbidden.value), str(not_found.value)))
    assert 1 == len(set(refusals))


def test_a_user_without_workspaces_is_refused() -> None:
    with pytest.raises(Forbidden):
        admit(principal(), "read")


def test_an_api_token_opens_nothing_that_asks_for_a_login() -> None:
    program = principal(a="owner", is_admin=True, is_program=True)
    for access in ("signed_in", "member", "administer"):
        with pytest.raises(Forbidden):
            admit(program, access)
    assert admit(program, "known") is None
    assert Caller("u_1", "w_a", "owner") == admit(program, "manage")


def test_administrators_of_the_installation_have_no_right_in_workspaces_of_others() -> None:
    administrator = principal(is_admin=True)
    assert admit(administrator, "administer") is None
    with pytest.raises(NotFound):
        admit(administrator, "manage", at="w_a")
    with pytest.raises(Forbidden):
        admit(principal(a="owner"), "administer")


def test_nobody_makes_a_token_of_more_than_they_may_do() -> None:
    require_scopes_within("owner", ("read", "write", "admin"))
    require_scopes_within("viewer", ("read",))
    with pytest.raises(Forbidden) as error:
        require_scopes_within("editor", ("read", "admin"))
    assert "scopes" == error.value.field
