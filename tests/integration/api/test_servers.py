"""Servers get and lose tags together, and take what belongs to them along when they are deleted."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from shared.io.changelog.read import LogReader
from shared.names import AGENT_CHANGES, PartitionKeys, Topic, deadline_of, held_deadline_of, partition_of
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api
from tests.support.log import recent

TAGS = "/api/v1/servers/tags"
NOW = "2030-01-01T00:00:00Z"


@pytest_asyncio.fixture
async def headers(api: Api) -> AsyncIterator[dict[str, str]]:
    """Give the headers of an editor, once there are servers."""
    for number in (1, 2, 3):
        version = await api.put("servers", f"s_{number}", name=f"n{number}", tags=["a"])
    await api.put("servers", "s_theirs", OTHER_WORKSPACE, name="theirs")
    await api.settled("servers", version)
    yield await api.let_in("editor")


async def tag(api: Api, headers: dict[str, str], **body: object) -> httpx.Response:
    return await api.http.post(TAGS, json=body, headers=headers)


async def stored_tags(api: Api) -> dict[str, list[str]]:
    rows = await api.pool.fetch("SELECT id, tags FROM servers WHERE workspace_id = $1 ORDER BY id", WORKSPACE)
    return {row["id"]: row["tags"] for row in rows}


async def test_tags_of_many_are_edited_in_one_change_set(api: Api, headers: dict[str, str]) -> None:
    answer = await tag(api, headers, ids=["s_2", "s_1", "s_2"], add=["b", "c"], remove=["a"])
    body = answer.json()
    assert (200, "1", 5) == (answer.status_code, body["epoch"], body["version"])
    assert [("s_2", 4, ["b", "c"]), ("s_1", 5, ["b", "c"])] == [
        (item["id"], item["version"], item["tags"]) for item in body["items"]
    ]
    assert {"s_1": ["b", "c"], "s_2": ["b", "c"], "s_3": ["a"]} == await stored_tags(api)
    newest = (await recent(api.redis, Topic(WORKSPACE, "servers"), entries=10))[-1]
    assert (3, 5) == (newest.prev, newest.version)


async def test_servers_that_have_the_tags_already_stay_as_they_are(api: Api, headers: dict[str, str]) -> None:
    await tag(api, headers, ids=["s_1"], add=["b"])
    body = (await tag(api, headers, ids=["s_1", "s_2"], add=["b"])).json()
    assert [("s_1", 4), ("s_2", 5)] == [(item["id"], item["version"]) for item in body["items"]]
    again = await tag(api, headers, ids=["s_1", "s_2"], add=["b"])
    assert (200, 5) == (again.status_code, again.json()["version"])


async def test_when_one_is_unknown_none_is_edited(api: Api, headers: dict[str, str]) -> None:
    answer = await tag(api, headers, ids=["s_1", "s_9", "s_theirs"], add=["b"])
    assert (404, "not_found") == (answer.status_code, answer.json()["code"])
    assert "s_9, s_theirs" in answer.json()["detail"]
    assert ["a"] == (await stored_tags(api))["s_1"]


async def test_when_one_would_have_too_many_none_is_edited(api: Api, headers: dict[str, str]) -> None:
    await tag(api, headers, ids=["s_2"], add=[f"t{n}" for n in range(63)])
    answer = await tag(api, headers, ids=["s_1", "s_2"], add=["b"])
    (error,) = answer.json()["errors"]
    assert (422, "tags") == (answer.status_code, error["field"])
    assert error["message"].startswith("s_2:")
    assert ["a"] == (await stored_tags(api))["s_1"]


async def test_a_repeated_edit_happens_once(api: Api, headers: dict[str, str]) -> None:
    keyed = headers | {"Idempotency-Key": "k"}
    await tag(api, keyed, ids=["s_1"], add=["b"])
    await tag(api, headers, ids=["s_1"], remove=["b"])
    again = await tag(api, keyed, ids=["s_1"], add=["b"])
    assert (200, ["a"]) == (again.status_code, again.json()["items"][0]["tags"])


async def test_bad_edits_of_tags_are_refused(api: Api, headers: dict[str, str]) -> None:
    bodies: list[tuple[dict[str, Any], str]] = [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": [f"s_{n}" for n in range(1001)]}, "ids"),
        ({"ids": ["s 1"]}, "ids[0]"),
        ({"ids": ["s_1\n"]}, "ids[0]"),
        ({"ids": [5]}, "ids[0]"),
        ({"ids": ["s_1"], "add": "b"}, "add"),
        ({"ids": ["s_1"], "add": [""]}, "add[0]"),
        ({"ids": ["s_1"], "add": ["\x00"]}, "add[0]"),
        ({"ids": ["s_1"], "add": ["b"], "remove": ["b"]}, "remove"),
        ({"ids": ["s_1"], "set": ["b"]}, "set"),
    ]
    for body, field in bodies:
        answer = await tag(api, headers, **body)
        assert (422, field) == (answer.status_code, answer.json()["errors"][0]["field"]), body
    assert 3 == (await LogReader(api.redis).snapshot(Topic(WORKSPACE, "servers"))).version


async def add_agent(api: Api, agent_id: str, server_id: str) -> None:
    await api.pool.execute(
        "INSERT INTO agent_credentials (agent_id, workspace_id, server_id, secret_hash, name, hostname, machine_id) "
        "VALUES ($1, $2, $3, $4, '', '', '')",
        agent_id,
        WORKSPACE,
        server_id,
        agent_id.encode(),
    )
    await api.put("agents", agent_id, name="", server_id=server_id, last_heartbeat=NOW, created_at=NOW, updated_at=NOW)


async def test_a_deleted_server_takes_its_metrics_agents_and_deadlines_along(api: Api, headers: dict[str, str]) -> None:
    keys = PartitionKeys(partition_of(WORKSPACE))
    await add_agent(api, "a_1", "s_1")
    await add_agent(api, "a_2", "s_2")
    for server_id in ("s_1", "s_2"):
        await api.put("metrics", server_id, ts=NOW, cpu_percent=5)
        members = (deadline_of(WORKSPACE, server_id), held_deadline_of(WORKSPACE, server_id))
        await api.redis.zadd(keys.deadlines, dict.fromkeys(members, 4_000_000_000_000))
    answer = await api.http.delete("/api/v1/servers/s_1", headers=headers)
    assert (204, b"") == (answer.status_code, answer.content)
    for table in ("servers", "metrics", "agents"):
        rows = await api.pool.fetch(f"SELECT id FROM {table} WHERE workspace_id = $1", WORKSPACE)  # noqa: S608  (a name of this list)
        assert not {"s_1", "a_1"} & {row["id"] for row in rows}
        assert {"s_2", "a_2"} & {row["id"] for row in rows}
    revoked = await api.pool.fetch("SELECT agent_id FROM agent_credentials WHERE revoked_at IS NOT NULL")
    assert ["a_1"] == [row["agent_id"] for row in revoked]
    left = {member.decode() for member in await api.redis.zrange(keys.deadlines, 0, -1)}
    assert {deadline_of(WORKSPACE, "s_2"), held_deadline_of(WORKSPACE, "s_2")} == left
    assert 404 == (await api.http.get("/api/v1/servers/s_1", headers=headers)).status_code
    assert 404 == (await api.http.delete("/api/v1/servers/s_1", headers=headers)).status_code


async def test_agents_of_a_deleted_server_are_said_to_be_locked_out(api: Api, headers: dict[str, str]) -> None:
    await add_agent(api, "a_1", "s_1")
    async with api.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(AGENT_CHANGES)
        await channel.get_message(timeout=5)
        assert 204 == (await api.http.delete("/api/v1/servers/s_1", headers=headers)).status_code
        message = await channel.get_message(timeout=5)
    assert message is not None
    assert b'["a_1"]' == message["data"]


async def test_a_server_without_anything_else_is_deleted_as_well(api: Api, headers: dict[str, str]) -> None:
    assert 204 == (await api.http.delete("/api/v1/servers/s_3", headers=headers)).status_code


async def test_a_server_of_another_version_than_the_named_one_stays(api: Api, headers: dict[str, str]) -> None:
    await add_agent(api, "a_1", "s_1")
    answer = await api.http.delete("/api/v1/servers/s_1", headers=headers | {"If-Match": '"7"'})
    assert 412 == answer.status_code
    assert await api.pool.fetchval("SELECT revoked_at FROM agent_credentials") is None
    answer = await api.http.delete("/api/v1/servers/s_1", headers=headers | {"If-Match": '"1"'})
    assert 204 == answer.status_code


async def test_a_repeated_deletion_is_answered_as_the_first(api: Api, headers: dict[str, str]) -> None:
    for _ in range(2):
        answer = await api.http.delete("/api/v1/servers/s_1", headers=headers | {"Idempotency-Key": "k"})
        assert 204 == answer.status_code


async def test_unknown_servers_are_not_found(api: Api, headers: dict[str, str]) -> None:
    for record_id in ("s_9", "s_theirs", "%00", "%F0%9F%98%80"):
        answer = await api.http.delete(f"/api/v1/servers/{record_id}", headers=headers)
        assert 404 == answer.status_code, record_id
    assert 1 == await api.pool.fetchval("SELECT count(*) FROM servers WHERE workspace_id = $1", OTHER_WORKSPACE)


async def test_a_deletion_need_not_be_waited_for(unapplied_api: Api) -> None:
    await unapplied_api.put("servers", "s_1", name="one")
    headers = await unapplied_api.let_in("editor")
    answer = await unapplied_api.http.delete("/api/v1/servers/s_1", headers=headers | {"Prefer": "respond-async"})
    assert (202, "respond-async") == (answer.status_code, answer.headers["preference-applied"])
