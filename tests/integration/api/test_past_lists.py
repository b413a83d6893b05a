"""A list can be asked for as it was at a version, with the filters, orders and pages of any list."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from services.api.records.listing import read_query
from shared.names import Topic
from shared.operation import Draft, Operation
from shared.resources import RESOURCES
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

LIST = "/api/v1/servers"


async def delete(api: Api, resource: str, record_id: str) -> int:
    draft = Draft(id=record_id, action="delete")
    return (await api.log.append(Operation(topic=Topic(WORKSPACE, resource), drafts=(draft,), actor="test"))).version


@pytest_asyncio.fixture
async def headers(api: Api) -> AsyncIterator[dict[str, str]]:
    """Give the headers of a viewer, once servers have come, changed and gone."""
    await api.put("servers", "s_1", name="alpha", tags=["db"], price=1.5, expires_at="2030-01-01T00:00:00Z")
    await api.put("servers", "s_2", name="beta", tags=["db"], last_seen="2030-01-01T00:00:00.5Z")
    await api.put("servers", "s_1", name="zeta", tags=[])
    await delete(api, "servers", "s_2")
    await api.put("servers", "s_theirs", OTHER_WORKSPACE, name="theirs")
    version = await api.put("servers", "s_2", name="again")
    await api.settled("servers", version)
    yield await api.let_in("viewer")


async def ask(api: Api, headers: dict[str, str], **parameters: object) -> httpx.Response:
    return await api.http.get(LIST, headers=headers, params=parameters)  # type: ignore[arg-type]  # whatever a test wants to send


async def test_each_version_shows_what_was_then(api: Api, headers: dict[str, str]) -> None:
    expected = {0: {}, 1: {"s_1": "alpha"}, 2: {"s_1": "alpha", "s_2": "beta"}, 3: {"s_1": "zeta", "s_2": "beta"}}
    expected |= {4: {"s_1": "zeta"}, 5: {"s_1": "zeta", "s_2": "again"}}
    for version, names in expected.items():
        body = (await ask(api, headers, at_version=version)).json()
        assert names == {item["id"]: item["name"] for item in body["items"]}
        assert (version, "1", len(names)) == (body["version"], body["epoch"], body["total"])


async def test_records_of_the_past_look_like_those_of_today(api: Api, headers: dict[str, str]) -> None:
    now = (await ask(api, headers)).json()
    assert now == (await ask(api, headers, at_version=5)).json()
    (first, second) = (await ask(api, headers, at_version=2)).json()["items"]
    assert (1, 1.5, "2030-01-01T00:00:00Z") == (first["version"], first["price"], first["expires_at"])
    assert "2030-01-01T00:00:00.5" in second["last_seen"]
    assert list(now["items"][0]) == list(first)


async def test_the_past_is_filtered_ordered_and_paged(api: Api, headers: dict[str, str]) -> None:
    async def ids(**parameters: object) -> list[str]:
        return [item["id"] for item in (await ask(api, headers, **parameters)).json()["items"]]

    assert ["s_2", "s_1"] == await ids(at_version=2, sort="-name", tag="db")
    assert ["s_2"] == await ids(at_version=3, tag="db")
    assert ["s_1"] == await ids(at_version=2, q="ALPH")
    first = (await ask(api, headers, at_version=2, limit=1)).json()
    assert (["s_1"], 2) == ([item["id"] for item in first["items"]], first["total"])
    assert ["s_2"] == await ids(at_version=2, limit=1, cursor=first["next_cursor"])


async def test_what_the_journal_does_not_reach_is_refused(api: Api, headers: dict[str, str]) -> None:
    await api.pool.execute("UPDATE topics SET journal_floor = 2 WHERE workspace_id = $1", WORKSPACE)
    for version, status, code in ((1, 409, "must_refetch"), (6, 404, "version_ahead")):
        answer = await ask(api, headers, at_version=version)
        assert (status, code) == (answer.status_code, answer.json()["code"])
    assert "at_version" == (await ask(api, headers, at_version=6)).json()["errors"][0]["field"]
    assert 200 == (await ask(api, headers, at_version=2)).status_code
    assert 400 == (await ask(api, headers, at_version="now")).status_code


async def test_every_journalled_resource_has_a_past(api: Api) -> None:
    for resource in RESOURCES.values():
        if not resource.journalled:
            continue
        name = "primary_domain" if resource.name == "websites" else "name"
        await api.put(resource.name, "x_1", **{name: "old"})
        await api.settled(resource.name, await api.put(resource.name, "x_1", **{name: "new"}))
        page = await api.parts.records.page(resource, WORKSPACE, read_query(resource, [("at_version", "1")]))
        assert [("x_1", 1)] == [(record.id, record.version) for record in page.records], resource.name
        assert b'"old"' in page.records[0].data
