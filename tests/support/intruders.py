"""Who tries to see what is in a workspace of others: by which login or token each of them comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from shared.io.identity import utc_now
from shared.names import new_id
from shared.tokens import encode_token, new_claims
from tests.support.api import SIGNING_KEY, Api
from tests.support.applier import until
from tests.support.two_workspaces import OURS, THEIRS

Headers = dict[str, str]


async def owner_of_ours(api: Api) -> Headers:
    """Return a login of the owner of our workspace."""
    return await api.let_in(OURS.named)


async def of_both_in_ours(api: Api) -> Headers:
    """Return a login of an owner of both workspaces, for ours."""
    return await api.let_in("double") | {"X-Workspace": OURS.workspace}


async def program_of_ours(api: Api) -> Headers:
    """Return a token for our workspace of a user who owns the other as well."""
    return await api.let_program_in("double", "read", "write", "admin", workspace=OURS.workspace)


async def administrator(api: Api) -> Headers:
    """Return a login of an administrator of the installation, who is a member of nothing."""
    return await api.let_in("admin")


async def nobody(api: Api) -> Headers:
    """Return a login of a user who is a member of nothing."""
    return await api.let_in("nobody")


async def without_token(api: Api) -> Headers:
    """Return no headers at all."""
    del api
    return {}


async def expired(api: Api) -> Headers:
    """Return an access token of the other workspace's owner that is over."""
    session = new_id("x")
    await api.pool.execute(
        "INSERT INTO sessions VALUES ($1, $2, now(), now() + interval '1 day')", session, THEIRS.id("u")
    )
    claims = new_claims(THEIRS.id("u"), session, utc_now() - timedelta(days=1))
    return {"Authorization": f"Bearer {encode_token(claims, SIGNING_KEY)}"}


async def revoked(api: Api) -> Headers:
    """Return a login of theirs that was revoked."""
    headers = await api.let_in(THEIRS.named)
    await api.pool.execute("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", THEIRS.id("u"))
    return headers


async def program_that_is_over(api: Api) -> Headers:
    """Return an API token of theirs that is over."""
    headers = await api.let_program_in(THEIRS.named, "read", "write", "admin", workspace=THEIRS.workspace)
    await api.pool.execute(
        "UPDATE api_tokens SET expires_at = now(), last_used_at = now() WHERE user_id = $1", THEIRS.id("u")
    )
    return headers


async def former_member(api: Api) -> Headers:
    """Return a login that was good for the other workspace a moment ago."""
    await api.pool.execute(
        "INSERT INTO members VALUES ($1, 'u_nobody', 'owner') ON CONFLICT DO NOTHING", THEIRS.workspace
    )
    headers = await api.let_in("nobody")
    assert 200 == (await api.http.get("/api/v1/tags", headers=headers)).status_code
    gone = f"/api/v1/workspaces/{THEIRS.workspace}/members/u_nobody"
    assert 204 == (await api.http.delete(gone, headers=await api.let_in(THEIRS.named))).status_code

    async def is_out() -> bool:
        return (await api.http.get("/api/v1/tags", headers=headers)).status_code == 403

    await until(is_out)
    return headers


MEMBER_OF_ANOTHER = "a member of another workspace"
MEMBER_OF_BOTH = "a member of both, in the other"
PROGRAM = "an API token for another workspace, of a member"
ADMINISTRATOR = "an administrator of the installation"

INTRUDERS: dict[str, Callable[[Api], Awaitable[Headers]]] = {
    MEMBER_OF_ANOTHER: owner_of_ours,
    MEMBER_OF_BOTH: of_both_in_ours,
    PROGRAM: program_of_ours,
    ADMINISTRATOR: administrator,
    "a user without a workspace": nobody,
    "nobody": without_token,
    "an expired token of a member": expired,
    "a revoked login of a member": revoked,
    "an expired API token of a member": program_that_is_over,
    "a former member": former_member,
}

AT_HOME = frozenset({MEMBER_OF_ANOTHER, MEMBER_OF_BOTH, PROGRAM})
"""Those who are let into our workspace, and so further than the others."""
