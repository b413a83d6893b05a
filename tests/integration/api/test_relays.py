"""Relays are shown their token once, stored as hashes, bounded, audited, and known in their workspace only."""

from datetime import datetime, timedelta
from hashlib import sha256

import httpx
import msgspec
import pytest

from services.api.relays import MAX_RELAYS
from shared.names import AGENT_CHANGES
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

RELAYS = "/api/v1/relays"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; relays need no log."""
    return sealed_api


async def add(api: Api, headers: dict[str, str], **fields: object) -> httpx.Response:
    return await api.http.post(RELAYS, json={"name": "site gateway"} | fields, headers=headers)


async def listed(api: Api, headers: dict[str, str]) -> list[str]:
    return [item["id"] for item in (await api.http.get(RELAYS, headers=headers)).json()["items"]]


async def test_a_relays_token_is_shown_once_and_stored_as_its_hash(api: Api) -> None:
    headers = await api.let_in("editor")
    answer = await add(api, headers, expires_in_s=600)
    shown = answer.json()
    assert (201, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert ("site gateway", "u_editor", None) == tuple(shown[name] for name in ("name", "created_by", "last_used_at"))
    life = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert timedelta(seconds=600) == life
    token = shown.pop("token")
    assert token.startswith("mr_")
    assert 46 == len(token)
    row = await api.pool.fetchrow("SELECT * FROM relays")
    assert (sha256(token.encode()).digest(), WORKSPACE) == (row["token_hash"], row["workspace_id"])
    assert {"items": [shown]} == (await api.http.get(RELAYS, headers=headers)).json()


@pytest.mark.parametrize(("said", "days"), [({}, 90), ({"expires_in_s": None}, None)])
async def test_a_relay_lasts_ninety_days_or_as_is_said(api: Api, said: dict[str, object], days: int | None) -> None:
    shown = (await add(api, await api.let_in("owner"), **said)).json()
    if days is None:
        assert shown["expires_at"] is None
    else:
        life = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
        assert timedelta(days=days) == life


async def test_a_deleted_relay_is_gone(api: Api) -> None:
    headers = await api.let_in("owner")
    first, second = [(await add(api, headers)).json()["id"] for _ in range(2)]
    assert {first, second} == set(await listed(api, headers))
    assert 204 == (await api.http.delete(f"{RELAYS}/{first}", headers=headers)).status_code
    assert [second] == await listed(api, headers)
    for unknown in (first, "r_9", "%00", "%F0%9F%98%80"):
        assert 404 == (await api.http.delete(f"{RELAYS}/{unknown}", headers=headers)).status_code


async def test_a_deletion_is_told_to_those_who_let_relays_in(api: Api) -> None:
    headers = await api.let_in("owner")
    relay_id = (await add(api, headers)).json()["id"]
    async with api.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(AGENT_CHANGES)
        await channel.get_message(timeout=5)
        assert 204 == (await api.http.delete(f"{RELAYS}/{relay_id}", headers=headers)).status_code
        message = await channel.get_message(timeout=5)
    assert message is not None
    assert [relay_id] == msgspec.json.decode(message["data"])


async def test_relays_of_another_workspace_are_not_known(api: Api) -> None:
    ours, theirs = await api.let_in("owner"), await api.let_in("stranger")
    relay_id = (await add(api, ours)).json()["id"]
    assert [] == await listed(api, theirs)
    answer = await api.http.delete(f"{RELAYS}/{relay_id}", headers=theirs | {"X-Workspace": OTHER_WORKSPACE})
    assert 404 == answer.status_code
    assert [relay_id] == await listed(api, ours)


async def test_a_workspace_has_so_many_relays_and_those_long_over_do_not_count(api: Api) -> None:
    headers = await api.let_in("owner")
    await api.pool.execute(
        "INSERT INTO relays (id, workspace_id, name, token_hash)"
        " SELECT 'r_' || n, $1, 'x', sha256(n::text::bytea) FROM generate_series(1, $2) AS n",
        WORKSPACE,
        MAX_RELAYS,
    )
    answer = await add(api, headers)
    assert (422, "too_many") == (answer.status_code, answer.json()["code"])
    await api.pool.execute("UPDATE relays SET expires_at = now() - interval '8 days' WHERE id = 'r_1'")
    assert 201 == (await add(api, headers)).status_code
    assert "r_1" not in await listed(api, headers)


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": 5}, {"expires_in_s": 59}, {"expires_in_s": "60"}, {"scopes": ["x"]}]
)
async def test_wrong_values_are_named(api: Api, wrong: dict[str, object]) -> None:
    answer = await add(api, await api.let_in("owner"), **wrong)
    assert 422 == answer.status_code
    assert list(wrong) == [error["field"] for error in answer.json()["errors"]]


async def test_relays_are_audited(api: Api) -> None:
    headers = await api.let_in("owner")
    relay_id = (await add(api, headers)).json()["id"]
    await api.http.delete(f"{RELAYS}/{relay_id}", headers=headers)
    rows = await api.pool.fetch("SELECT action, actor, record_id FROM audit_log WHERE resource = 'relays' ORDER BY seq")
    expected = [(action, "u_owner", relay_id) for action in ("created", "deleted")]
    assert expected == [tuple(row) for row in rows]
