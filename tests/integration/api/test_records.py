"""Records of every declared resource are made, read, replaced and deleted alike, alone and in bulk."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from shared.io.changelog.read import LogReader
from shared.names import Topic
from shared.resources import RESOURCES, SERVERS, Resource
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

WRITABLE = [resource for resource in RESOURCES.values() if resource.editable]
DELETABLE = [resource for resource in WRITABLE if resource.deletable]
WEBSITES = "/api/v1/websites"


def named(resource: Resource) -> str:
    return resource.name


def draft(resource: Resource, name: str = "one") -> dict[str, Any]:
    """Return the fields that a record of this resource cannot be without."""
    return {field.name: name for field in msgspec.structs.fields(resource.model) if field.required}


async def create(api: Api, headers: dict[str, str], domain: str, **fields: object) -> dict[str, Any]:
    answer = await api.http.post(WEBSITES, json={"primary_domain": domain, **fields}, headers=headers)
    assert 201 == answer.status_code, answer.text
    return dict(answer.json())


async def bulk(api: Api, headers: dict[str, str], *operations: dict[str, Any], path: str = WEBSITES) -> httpx.Response:
    return await api.http.post(f"{path}/bulk", json={"operations": operations}, headers=headers)


def wrong_fields(answer: httpx.Response) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]


async def websites(api: Api) -> dict[str, str]:
    """Return the domains of all websites, by id, as the log and PostgreSQL agree about them."""
    stored = {
        row["id"]: row["primary_domain"] for row in await api.pool.fetch("SELECT id, primary_domain FROM websites")
    }
    snapshot = await LogReader(api.redis).snapshot(Topic(WORKSPACE, "websites"))
    assert stored == {record.id: msgspec.json.decode(record.data)["primary_domain"] for record in snapshot.records}
    return stored


@pytest.mark.parametrize("resource", DELETABLE, ids=named)
async def test_a_record_lives_from_its_creation_to_its_deletion(api: Api, resource: Resource) -> None:
    headers = await api.let_in("editor")
    created = await api.http.post(f"/api/v1/{resource.name}", json=draft(resource), headers=headers)
    record = created.json()
    where = created.headers["location"]
    assert (201, '"1"') == (created.status_code, created.headers["etag"])
    assert f"/api/v1/{resource.name}/{record['id']}" == where
    assert record["id"].startswith(f"{resource.prefix}_")
    assert ["id", "version", *resource.columns] == list(record)
    assert record == (await api.http.get(where, headers=headers)).json()
    assert [record] == (await api.http.get(f"/api/v1/{resource.name}", headers=headers)).json()["items"]
    replaced = await api.http.put(where, json=draft(resource, "two"), headers=headers | {"If-Match": '"1"'})
    assert (200, 2) == (replaced.status_code, replaced.json()["version"])
    assert record | draft(resource, "two") | {"version": 2} == replaced.json()
    assert 204 == (await api.http.delete(where, headers=headers)).status_code
    assert 404 == (await api.http.get(where, headers=headers)).status_code
    assert 404 == (await api.http.delete(where, headers=headers)).status_code


@pytest.mark.parametrize("resource", WRITABLE, ids=named)
async def test_every_wrong_field_is_named(api: Api, resource: Resource) -> None:
    headers = await api.let_in("editor")
    wrong = {name: {"no": "good"} for name in resource.editable}
    answer = await api.http.post(f"/api/v1/{resource.name}", json=wrong | {"colour": 1}, headers=headers)
    assert 422 == answer.status_code
    assert {*wrong, "colour"} == set(wrong_fields(answer))


@pytest.mark.parametrize("resource", WRITABLE, ids=named)
async def test_viewers_write_nothing(api: Api, resource: Resource) -> None:
    headers = await api.let_in("viewer")
    many, one = f"/api/v1/{resource.name}", f"/api/v1/{resource.name}/x_1"
    creation = {"operations": [{"action": "create", "data": draft(resource)}]}
    for method, path, body in (
        ("POST", many, draft(resource)),
        ("PUT", one, draft(resource)),
        ("PATCH", one, {}),
        ("POST", f"{many}/bulk", creation),
        ("DELETE", one, None),
    ):
        assert 403 == (await api.http.request(method, path, json=body, headers=headers)).status_code, (method, path)


@pytest.mark.parametrize("resource", [r for r in RESOURCES.values() if not r.editable], ids=named)
async def test_what_agents_say_is_for_reading_only(api: Api, resource: Resource) -> None:
    headers = await api.let_in("owner")
    assert 200 == (await api.http.get(f"/api/v1/{resource.name}", headers=headers)).status_code
    assert 405 == (await api.http.post(f"/api/v1/{resource.name}", json={}, headers=headers)).status_code


async def test_a_server_can_be_there_before_its_agent(api: Api) -> None:
    headers = await api.let_in("editor")
    created = await api.http.post("/api/v1/servers", json={"name": "one", "tags": ["a"]}, headers=headers)
    assert (201, "unknown", ["a"]) == (created.status_code, created.json()["status"], created.json()["tags"])
    assert (
        422
        == (await api.http.post("/api/v1/servers", json={"name": "x", "status": "online"}, headers=headers)).status_code
    )


async def test_replacing_a_server_leaves_alone_what_its_agent_says(api: Api) -> None:
    await api.settled("servers", await api.put("servers", "s_1", name="one", status="online", notes="old", tags=["a"]))
    headers = await api.let_in("editor")
    replaced = (await api.http.put("/api/v1/servers/s_1", json={"name": "two"}, headers=headers)).json()
    assert ("two", "online", "", []) == tuple(replaced[name] for name in ("name", "status", "notes", "tags"))


async def test_unique_values_are_told_apart_within_a_workspace(api: Api) -> None:
    headers = await api.let_in("editor")
    first = await create(api, headers, "one.example")
    taken = await api.http.post(WEBSITES, json={"primary_domain": "one.example"}, headers=headers)
    assert (409, "not_unique", ["primary_domain"]) == (taken.status_code, taken.json()["code"], wrong_fields(taken))
    second = await create(api, headers, "two.example")
    moved = await api.http.patch(f"{WEBSITES}/{second['id']}", json={"primary_domain": "one.example"}, headers=headers)
    assert (409, ["primary_domain"]) == (moved.status_code, wrong_fields(moved))
    assert (
        201
        == (
            await api.http.post(WEBSITES, json={"primary_domain": "one.example"}, headers=await api.let_in("stranger"))
        ).status_code
    )
    assert 204 == (await api.http.delete(f"{WEBSITES}/{first['id']}", headers=headers)).status_code
    await create(api, headers, "one.example")


async def test_of_creations_with_one_unique_value_one_wins(api: Api) -> None:
    headers = await api.let_in("editor")
    body = {"primary_domain": "one.example"}
    answers = await asyncio.gather(*(api.http.post(WEBSITES, json=body, headers=headers) for _ in range(5)))
    assert [201, 409, 409, 409, 409] == sorted(answer.status_code for answer in answers)
    assert 1 == len(await websites(api))


async def test_a_repeated_creation_makes_one_record(api: Api) -> None:
    headers = await api.let_in("editor") | {"Idempotency-Key": "k1"}
    body = {"primary_domain": "one.example"}
    answers = await asyncio.gather(*(api.http.post(WEBSITES, json=body, headers=headers) for _ in range(5)))
    assert {201} == {answer.status_code for answer in answers}
    assert 1 == len({answer.headers["location"] for answer in answers})
    assert 1 == len(await websites(api))


async def test_a_repeated_deletion_is_answered_as_the_first(api: Api) -> None:
    headers = await api.let_in("editor")
    record = await create(api, headers, "one.example")
    keyed = headers | {"Idempotency-Key": "k1"}
    answers = [await api.http.delete(f"{WEBSITES}/{record['id']}", headers=keyed) for _ in range(2)]
    assert [204, 204] == [answer.status_code for answer in answers]


async def test_a_bulk_is_one_change_set(api: Api) -> None:
    headers = await api.let_in("editor")
    old = await create(api, headers, "old.example")
    gone = await create(api, headers, "gone.example")
    answer = await bulk(
        api,
        headers,
        {"action": "create", "data": {"primary_domain": "new.example"}},
        {"action": "update", "id": old["id"], "data": {"cname": "lb.example"}, "version": 1},
        {"action": "delete", "id": gone["id"]},
        {"action": "create", "id": "ws_mine", "data": {"primary_domain": "mine.example"}},
    )
    assert 200 == answer.status_code, answer.text
    items = answer.json()["items"]
    assert [3, 4, 6] == [item["version"] for item in items]
    assert ("lb.example", "ws_mine", 6) == (items[1]["cname"], items[2]["id"], answer.json()["version"])
    assert {"new.example", "old.example", "mine.example"} == set((await websites(api)).values())


async def test_a_unique_value_moves_on_within_a_bulk(api: Api) -> None:
    headers = await api.let_in("editor")
    gone = await create(api, headers, "one.example")
    heir = {"action": "create", "id": "ws_heir", "data": {"primary_domain": "one.example"}}
    answer = await bulk(api, headers, {"action": "delete", "id": gone["id"]}, heir)
    assert 200 == answer.status_code, answer.text
    assert {"ws_heir": "one.example"} == await websites(api)


@pytest.mark.parametrize(
    ("operation", "status", "field"),
    [
        ({"action": "create", "data": {"primary_domain": "old.example"}}, 409, "operations[1].data.primary_domain"),
        ({"action": "create", "data": {"primary_domain": "NO"}}, 422, "operations[1].data.primary_domain"),
        ({"action": "create", "data": {}}, 422, "operations[1].data.primary_domain"),
        ({"action": "create", "id": "ws_old", "data": {"primary_domain": "x.example"}}, 409, "operations[1].id"),
        ({"action": "update", "id": "ws_9", "data": {}}, 404, "operations[1].id"),
        ({"action": "update", "id": "ws_new", "data": {}}, 422, "operations[1].id"),
        ({"action": "update", "id": "ws_old", "data": {"status": 5}}, 422, "operations[1].data.status"),
        ({"action": "update", "id": "ws_old", "data": {"status": "x"}, "version": 7}, 412, "operations[1].id"),
        ({"action": "replace", "id": "ws_old", "data": {"colour": 1}}, 422, "operations[1].data.colour"),
        ({"action": "delete", "id": "ws_theirs"}, 404, "operations[1].id"),
        ({"action": "delete"}, 422, "operations[1].id"),
        ({"action": "erase", "id": "ws_old"}, 422, "operations[1].action"),
    ],
)
async def test_a_bulk_is_all_or_nothing(api: Api, operation: dict[str, Any], status: int, field: str) -> None:
    headers = await api.let_in("editor")
    await api.put("websites", "ws_theirs", OTHER_WORKSPACE, primary_domain="theirs.example")
    old = {"action": "create", "id": "ws_old", "data": {"primary_domain": "old.example"}}
    assert 200 == (await bulk(api, headers, old)).status_code
    fine = {"action": "create", "id": "ws_new", "data": {"primary_domain": "new.example"}}
    answer = await bulk(api, headers, fine, operation)
    assert status == answer.status_code, answer.text
    assert field in wrong_fields(answer)
    snapshot = await LogReader(api.redis).snapshot(Topic(WORKSPACE, "websites"))
    assert ["ws_old"] == [record.id for record in snapshot.records]


async def test_a_bulk_has_bounds(api: Api) -> None:
    headers = await api.let_in("editor")
    one = {"action": "delete", "id": "ws_1"}
    for operations in ([], [one] * 1001):
        answer = await bulk(api, headers, *operations)
        assert (422, ["operations"]) == (answer.status_code, wrong_fields(answer))


async def test_servers_are_not_deleted_in_bulk(api: Api) -> None:
    headers = await api.let_in("owner")
    answer = await bulk(api, headers, {"action": "delete", "id": "s_1"}, path=f"/api/v1/{SERVERS.name}")
    assert (422, ["operations[0].action"]) == (answer.status_code, wrong_fields(answer))


async def test_a_thousand_records_are_made_at_once(api: Api) -> None:
    headers = await api.let_in("editor")
    operations = [{"action": "create", "data": {"primary_domain": f"d{n}.example"}} for n in range(1000)]
    answer = await bulk(api, headers, *operations)
    assert (200, 1000) == (answer.status_code, len(answer.json()["items"]))
    assert 1000 == len(await websites(api))
