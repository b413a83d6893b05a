"""People look after who agents are: rotation, revocation, and machines that lost their secret."""

import httpx
import pytest

from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

AGENTS = "/api/v1/agents"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; credentials need no log."""
    return sealed_api


async def add_agent(api: Api, agent_id: str, *, workspace: str = WORKSPACE, claimed: bool = False) -> None:
    await api.pool.execute(
        "INSERT INTO agent_credentials (agent_id, workspace_id, server_id, secret_hash, name, hostname, machine_id)"
        " VALUES ($1, $2, 's_1', convert_to($1, 'utf8'), 'web', 'web.example.org', 'machine-1')",
        agent_id,
        workspace,
    )
    if claimed:
        await api.pool.execute(
            "UPDATE agent_credentials SET claimed_at = now(), claim_machine_id = 'machine-1',"
            " claim_hostname = 'web.example.org', claim_address = '192.0.2.7' WHERE agent_id = $1",
            agent_id,
        )


async def ask(api: Api, method: str, path: str, who: str = "editor") -> httpx.Response:
    return await api.http.request(method, f"{AGENTS}/{path}", headers=await api.let_in(who))


async def actions(api: Api) -> list[tuple[str, str, str]]:
    rows = await api.pool.fetch("SELECT action, record_id, actor FROM audit_log WHERE resource = 'agents' ORDER BY seq")
    return [tuple(row) for row in rows]


async def test_claims_are_listed_with_who_makes_them(api: Api) -> None:
    await add_agent(api, "a_quiet")
    await add_agent(api, "a_claimed", claimed=True)
    await add_agent(api, "a_foreign", workspace=OTHER_WORKSPACE, claimed=True)
    (item,) = (await ask(api, "GET", "claims")).json()["items"]
    assert ("a_claimed", "192.0.2.7", None) == (
        item["agent_id"],
        item["claim"]["address"],
        item["claim"]["approved_until"],
    )


async def test_claim_is_approved_or_refused_and_that_is_audited(api: Api) -> None:
    await add_agent(api, "a_1", claimed=True)
    approved = await ask(api, "POST", "a_1/claim/approval")
    assert 200 == approved.status_code
    assert approved.json()["claim"]["approved_until"] is not None
    assert 204 == (await ask(api, "DELETE", "a_1/claim")).status_code
    assert (await ask(api, "GET", "a_1/identity")).json()["claim"] is None
    for method, path in (("POST", "a_1/claim/approval"), ("DELETE", "a_1/claim")):
        answer = await ask(api, method, path)
        assert (409, "not_claimed") == (answer.status_code, answer.json()["code"])
    assert [("claim_approved", "a_1", "u_editor"), ("claim_refused", "a_1", "u_editor")] == await actions(api)


async def test_agent_is_asked_to_rotate_and_is_revoked_once(api: Api) -> None:
    await add_agent(api, "a_1")
    assert (await ask(api, "POST", "a_1/rotation")).json()["rotation_wanted"]
    revoked = [(await ask(api, "POST", "a_1/revocation")).json()["revoked_at"] for _ in range(2)]
    assert revoked[0] is not None
    assert revoked[0] == revoked[1]
    answer = await ask(api, "POST", "a_1/rotation")
    assert (409, "credential_revoked") == (answer.status_code, answer.json()["code"])
    assert [("rotation_wanted", "a_1", "u_editor"), ("revoked", "a_1", "u_editor")] == await actions(api)


async def test_agent_of_another_workspace_is_none(api: Api) -> None:
    await add_agent(api, "a_foreign", workspace=OTHER_WORKSPACE, claimed=True)
    asked = [
        ("GET", "a_foreign/identity"),
        ("POST", "a_foreign/claim/approval"),
        ("DELETE", "a_foreign/claim"),
        ("POST", "a_foreign/rotation"),
        ("POST", "a_foreign/revocation"),
    ]
    for method, path in asked:
        foreign, unknown = await ask(api, method, path), await ask(api, method, path.replace("foreign", "nowhere"))
        assert (404, unknown.json()) == (foreign.status_code, foreign.json())
    assert [] == await actions(api)
