"""Owners see who did what to which record from where: what was acknowledged is there, and no secret is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest_asyncio

from shared.audit import INSTALLATION
from shared.io.audit import Break, verify
from tests.support.api import PASSWORD, WORKSPACE, Api

AUDIT = "/api/v1/audit"
FROM_OUTSIDE = {"X-Forwarded-For": "198.51.100.9, 2001:db8::7", "X-Request-Id": "r-1"}


@pytest_asyncio.fixture
async def owner(api: Api) -> AsyncIterator[dict[str, str]]:
    yield await api.let_in("owner")


@pytest_asyncio.fixture
async def editor(api: Api) -> AsyncIterator[dict[str, str]]:
    yield await api.let_in("editor") | FROM_OUTSIDE


async def entries(api: Api, headers: dict[str, str], **query: str) -> list[dict[str, Any]]:
    answer = await api.http.get(AUDIT, headers=headers, params=query)
    assert 200 == answer.status_code, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def chains(api: Api) -> list[object]:
    async with api.pool.acquire() as connection:
        return [found async for found in verify(connection)]


async def test_an_edit_is_recorded_when_it_is_answered(api: Api, owner: dict[str, str], editor: dict[str, str]) -> None:
    made = (await api.http.post("/api/v1/tags", json={"name": "hot"}, headers=editor)).json()
    path = f"/api/v1/tags/{made['id']}"
    await api.http.patch(path, json={"name": "hotter"}, headers=editor)
    await api.http.patch(path, json={"name": "hotter"}, headers=editor)  # which changes nothing
    await api.http.patch(path, json={"name": 5}, headers=editor)
    await api.http.delete(path, headers=editor)
    found = await entries(api, owner)
    assert [("deleted", 3), ("updated", 2), ("created", 1)] == [(each["action"], each["version"]) for each in found]
    for each in found:
        said = (each["actor"], each["resource"], each["record_id"], each["origin"], each["request_id"])
        assert ("u_editor", "tags", made["id"], "2001:db8::7", "r-1") == said


async def test_edits_of_many_and_of_servers_are_recorded_one_by_one(
    api: Api, owner: dict[str, str], editor: dict[str, str]
) -> None:
    for name in ("s_1", "s_2"):
        version = await api.put("servers", name, name=name)
    await api.settled("servers", version)
    tagged = await api.http.post("/api/v1/servers/tags", json={"ids": ["s_1", "s_2"], "add": ["a"]}, headers=editor)
    deleted = await api.http.delete("/api/v1/servers/s_1", headers=editor)
    operations = [{"action": "create", "data": {"name": name}} for name in "abc"]
    bulk = await api.http.post("/api/v1/zones/bulk", json={"operations": operations}, headers=editor)
    assert (200, 204, 200) == (tagged.status_code, deleted.status_code, bulk.status_code)
    found = [(each["action"], each["resource"]) for each in await entries(api, owner)]
    assert [*[("created", "zones")] * 3, ("deleted", "servers"), *[("updated", "servers")] * 2] == found


async def test_a_repetition_is_recorded_once(api: Api, owner: dict[str, str], editor: dict[str, str]) -> None:
    once = editor | {"Idempotency-Key": "k"}
    for _ in range(3):
        await api.http.post("/api/v1/tags", json={"name": "hot"}, headers=once)
    assert 1 == len(await entries(api, owner))


async def test_accounts_are_recorded_and_no_secret_is(api: Api, owner: dict[str, str]) -> None:
    async def log_in(email: str, password: str) -> httpx.Response:
        body = {"email": email, "password": password}
        return await api.http.post("/api/v1/auth/login", json=body, headers=FROM_OUTSIDE)

    async def refresh(token: str) -> httpx.Response:
        return await api.http.post("/api/v1/auth/refresh", json={"refresh_token": token}, headers=FROM_OUTSIDE)

    pair = (await log_in("editor@example.org", PASSWORD)).json()
    await log_in("editor@example.org", "a password that is wrong")
    await log_in("a password typed into the wrong field", PASSWORD)
    again = (await refresh(pair["refresh_token"])).json()
    await refresh(pair["refresh_token"])
    third = (await log_in("owner@example.org", PASSWORD)).json()
    bearer = {"Authorization": f"Bearer {third['access_token']}"}
    token = (await api.http.post("/api/v1/enrolment-tokens", json={"name": "rack"}, headers=bearer)).json()
    await api.http.delete(f"/api/v1/enrolment-tokens/{token['id']}", headers=bearer)
    await api.http.post("/api/v1/auth/logout", headers=bearer)
    found = [(each["action"], each["actor"], each["record_id"]) for each in reversed(await entries(api, owner))]
    assert [
        ("logged_in", "u_editor", "u_editor"),
        ("login_failed", "", "u_editor"),
        ("refresh_token_reused", "", "u_editor"),
        ("logged_in", "u_owner", "u_owner"),
        ("created", "u_owner", token["id"]),
        ("deleted", "u_owner", token["id"]),
        ("logged_out", "u_owner", "u_owner"),
    ] == found
    rows = [str(dict(row)) for row in await api.pool.fetch("TABLE audit_log")]
    unknown = [row for row in rows if f"'workspace_id': '{INSTALLATION}'" in row]
    assert 1 == len(unknown)
    assert "unknown_user" in unknown[0]
    secrets = {PASSWORD, "a password", token["token"]}
    secrets |= {each[name] for each in (pair, again, third) for name in ("access_token", "refresh_token")}
    assert [] == [secret for secret in secrets for row in rows if secret in row]
    assert not any(isinstance(chain, Break) for chain in await chains(api))


async def test_pages_and_filters(api: Api, owner: dict[str, str], editor: dict[str, str]) -> None:
    operations = [{"action": "create", "id": f"t_{number}", "data": {"name": f"{number}"}} for number in range(5)]
    await api.http.post("/api/v1/tags/bulk", json={"operations": operations}, headers=editor)
    await api.http.post("/api/v1/zones", json={"name": "z"}, headers=owner)
    first = (await api.http.get(AUDIT, params={"limit": 4}, headers=owner)).json()
    second = (await api.http.get(AUDIT, params={"limit": 4, "cursor": first["next_cursor"]}, headers=owner)).json()
    assert [6, 5, 4, 3, 2, 1] == [each["seq"] for each in first["items"] + second["items"]]
    assert second["next_cursor"] is None
    for query, seqs in (
        ({"actor": "u_owner"}, [6]),
        ({"action": "deleted"}, []),
        ({"resource": "tags", "record_id": "t_2"}, [3]),
        ({"from": first["items"][0]["at"]}, [6]),
        ({"to": first["items"][0]["at"]}, [5, 4, 3, 2, 1]),
    ):
        assert seqs == [each["seq"] for each in await entries(api, owner, **query)]
    for query in ({"limit": "0"}, {"cursor": "x"}, {"from": "yesterday"}, {"actor": ""}, {"what": "x"}):
        answer = await api.http.get(AUDIT, params=query, headers=owner)
        assert (400, [next(iter(query))]) == (answer.status_code, [each["field"] for each in answer.json()["errors"]])
    assert 400 == (await api.http.get(f"{AUDIT}?actor=a&actor=b", headers=owner)).status_code


async def test_the_whole_log_is_lines_of_json(api: Api, owner: dict[str, str], editor: dict[str, str]) -> None:
    for part in range(3):
        operations = [{"action": "create", "data": {"name": f"{part}-{number}"}} for number in range(700)]
        answer = await api.http.post("/api/v1/tags/bulk", json={"operations": operations}, headers=editor)
        assert 200 == answer.status_code
    answer = await api.http.get(f"{AUDIT}/export", headers=owner)
    lines = [msgspec.json.decode(line) for line in answer.content.splitlines()]
    assert (200, list(range(1, 2101))) == (answer.status_code, [line["seq"] for line in lines])
    assert all(line["previous_hash"] == before["hash"] for before, line in pairwise(lines))
    some = await api.http.get(f"{AUDIT}/export", params={"record_id": lines[7]["record_id"]}, headers=owner)
    assert [lines[7]] == [msgspec.json.decode(line) for line in some.content.splitlines()]


async def test_it_is_for_owners_of_the_workspace_alone(api: Api, owner: dict[str, str]) -> None:
    await api.http.post("/api/v1/tags", json={"name": "ours"}, headers=owner)
    for who, status in (("editor", 403), ("viewer", 403), ("both", 400), ("nobody", 403)):
        for path in (AUDIT, f"{AUDIT}/export"):
            assert status == (await api.http.get(path, headers=await api.let_in(who))).status_code
    stranger = await api.let_in("stranger")
    assert [] == await entries(api, stranger)
    assert b"" == (await api.http.get(f"{AUDIT}/export", headers=stranger)).content
    assert 403 == (await api.http.get(AUDIT, headers=stranger | {"X-Workspace": WORKSPACE})).status_code
