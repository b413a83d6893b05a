"""People look after who agents are: rotation, revocation, and machines that lost their secret."""

import httpx
import pytest

from shared.names import AGENT_CHANGES
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


async def ask(api: Api, method: str, path: str, who: str = "editor", body: object = None) -> httpx.Response:
    return await api.http.request(method, f"{AGENTS}/{path}", headers=await api.let_in(who), json=body)


async def seen(api: Api, agent_id: str) -> dict[str, str]:
    """Look at who claims an agent; return what an approval of that says."""
    claim = (await ask(api, "GET", f"{agent_id}/identity")).json()["claim"]
    return {name: claim[name] for name in ("machine_id", "claimed_at")}


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
    claim = await seen(api, "a_1")
    approved = await ask(api, "POST", "a_1/claim/approval", body=claim)
    assert 200 == approved.status_code
    assert approved.json()["claim"]["approved_until"] is not None
    assert 204 == (await ask(api, "DELETE", "a_1/claim")).status_code
    assert (await ask(api, "GET", "a_1/identity")).json()["claim"] is None
    for method, path in (("POST", "a_1/claim/approval"), ("DELETE", "a_1/claim")):
        answer = await ask(api, method, path, body=claim if method == "POST" else None)
        assert (409, "not_claimed") == (answer.status_code, answer.json()["code"])
    assert [("claim_approved", "a_1", "u_editor"), ("claim_refused", "a_1", "u_editor")] == await actions(api)


async def test_only_the_claim_that_was_seen_is_approved(api: Api) -> None:
    await add_agent(api, "a_1", claimed=True)
    claim = await seen(api, "a_1")
    swaps = (
        ("UPDATE agent_credentials SET claim_machine_id = 'swapped'", claim),
        (
            "UPDATE agent_credentials SET claim_machine_id = 'machine-1', claimed_at = now(), claim_address = 'x'",
            claim,
        ),
        ("SELECT", claim | {"claimed_at": "0001-01-01T00:00:00+14:00"}),
    )
    for swap, approved in swaps:
        await api.pool.execute(swap)
        answer = await ask(api, "POST", "a_1/claim/approval", body=approved)
        assert (409, "claim_changed") == (answer.status_code, answer.json()["code"])
    assert await api.pool.fetchval("SELECT approved_until IS NULL FROM agent_credentials")
    assert [] == await actions(api)
    assert 200 == (await ask(api, "POST", "a_1/claim/approval", body=await seen(api, "a_1"))).status_code


@pytest.mark.parametrize("left_out", ["machine_id", "claimed_at"])
async def test_approval_has_to_say_which_claim_was_seen(api: Api, left_out: str) -> None:
    await add_agent(api, "a_1", claimed=True)
    claim = await seen(api, "a_1")
    del claim[left_out]
    answer = await ask(api, "POST", "a_1/claim/approval", body=claim)
    assert 422 == answer.status_code
    assert left_out in answer.text


async def test_claim_of_a_revoked_agent_cannot_be_approved(api: Api) -> None:
    await add_agent(api, "a_1", claimed=True)
    claim = await seen(api, "a_1")
    await ask(api, "POST", "a_1/revocation")
    answer = await ask(api, "POST", "a_1/claim/approval", body=claim)
    assert (409, "not_claimed") == (answer.status_code, answer.json()["code"])


async def test_agent_is_asked_to_rotate_and_is_revoked_once(api: Api) -> None:
    await add_agent(api, "a_1")
    assert (await ask(api, "POST", "a_1/rotation")).json()["rotation_wanted"]
    revoked = [(await ask(api, "POST", "a_1/revocation")).json()["revoked_at"] for _ in range(2)]
    assert revoked[0] is not None
    assert revoked[0] == revoked[1]
    answer = await ask(api, "POST", "a_1/rotation")
    assert (409, "credential_revoked") == (answer.status_code, answer.json()["code"])
    assert [("rotation_wanted", "a_1", "u_editor"), ("revoked", "a_1", "u_editor")] == await actions(api)


@pytest.mark.parametrize("what", ["rotation", "revocation"])
async def test_what_is_asked_of_an_agent_is_told_to_those_who_hold_its_stream(api: Api, what: str) -> None:
    await add_agent(api, "a_1")
    async with api.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(AGENT_CHANGES)
        await channel.get_message(timeout=5)
        assert 200 == (await ask(api, "POST", f"a_1/{what}")).status_code
        message = await channel.get_message(timeout=5)
    assert message is not None
    assert b'["a_1"]' == message["data"]


async def test_agent_of_another_workspace_is_none(api: Api) -> None:
    await add_agent(api, "a_foreign", workspace=OTHER_WORKSPACE, claimed=True)
    asked = [
        ("GET", "a_foreign/identity"),
        ("POST", "a_foreign/claim/approval"),
        ("DELETE", "a_foreign/claim"),
        ("POST", "a_foreign/rotation"),
        ("POST", "a_foreign/revocation"),
    ]
    claim = {"machine_id": "machine-1", "claimed_at": "2026-01-02T03:04:05Z"}
    for method, path in asked:
        body = claim if path.endswith("approval") else None
        foreign = await ask(api, method, path, body=body)
        unknown = await ask(api, method, path.replace("foreign", "nowhere"), body=body)
        assert (404, unknown.json()) == (foreign.status_code, foreign.json())
    assert [] == await actions(api)
