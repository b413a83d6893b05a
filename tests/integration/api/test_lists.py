"""Lists and single records come from PostgreSQL, at one version, in pages that miss and repeat nothing."""

from collections.abc import AsyncIterator

import pytest_asyncio

from shared.resources.servers import Status
from tests.support.api import OTHER_WORKSPACE, Api

LIST = "/api/v1/servers"

# of each: id, name, status, when it was last seen, position and tags
SERVERS: tuple[tuple[str, str, Status, str | None, int, tuple[str, ...]], ...] = (
    ("s_1", "alpha", "online", "2030-01-01T00:00:03Z", 3, ("db", "eu")),
    ("s_2", "beta", "offline", "2030-01-01T00:00:01Z", -1, ("db",)),
    ("s_3", "beta", "unknown", None, 0, ()),
    ("s_4", "gamma", "online", "2030-01-01T00:00:01.000001Z", 0, ("eu",)),
    ("s_5", "100%_\\", "online", None, 2**31 - 1, ("db", "eu")),
)


@pytest_asyncio.fixture
async def headers(api: Api) -> AsyncIterator[dict[str, str]]:
    """Give the headers of a viewer, once the servers are there."""
    for record_id, name, status, last_seen, position, tags in SERVERS:
        version = await api.put(
            "servers", record_id, name=name, status=status, last_seen=last_seen, position=position, tags=tags,
            hostname=f"host-{record_id}", groups=["g"],
        )  # fmt: skip
    await api.put("servers", "s_theirs", OTHER_WORKSPACE, name="theirs")
    await api.settled("servers", version)
    await api.settled("servers", 1, OTHER_WORKSPACE)
    yield await api.let_in("viewer")


async def ids(api: Api, headers: dict[str, str], **parameters: object) -> list[str]:
    answer = await api.http.get(LIST, headers=headers, params=parameters)  # type: ignore[arg-type]  # whatever a test wants to send
    assert 200 == answer.status_code, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_a_list_says_what_there_is_and_at_which_version(api: Api, headers: dict[str, str]) -> None:
    body = (await api.http.get(LIST, headers=headers)).json()
    assert (5, "1", 5, None) == tuple(body[name] for name in ("total", "epoch", "version", "next_cursor"))
    first = {key: body["items"][1][key] for key in ("id", "version", "name", "last_seen", "tags", "os")}
    expected = {
        "id": "s_1",
        "version": 1,
        "name": "alpha",
        "last_seen": "2030-01-01T00:00:03Z",
        "tags": ["db", "eu"],
        "os": {"name": "", "version": "", "kernel": "", "arch": ""},
    }
    assert expected == first


async def test_the_list_of_a_workspace_without_records_is_empty(api: Api) -> None:
    body = (await api.http.get(LIST, headers=await api.let_in("viewer"))).json()
    assert {"items": [], "total": 0, "epoch": "1", "version": 0, "next_cursor": None} == body


async def pages(api: Api, headers: dict[str, str], sort: str, limit: int) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        parameters: dict[str, str | int] = {"sort": sort, "limit": limit}
        if cursor:
            parameters["cursor"] = cursor
        body = (await api.http.get(LIST, headers=headers, params=parameters)).json()
        assert 5 == body["total"]
        found += [item["id"] for item in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            return found


async def test_pages_of_every_size_make_up_the_list_in_its_order(api: Api, headers: dict[str, str]) -> None:
    for sort, expected in (
        ("name", ["s_5", "s_1", "s_2", "s_3", "s_4"]),
        ("-name", ["s_4", "s_3", "s_2", "s_1", "s_5"]),
        ("status", ["s_2", "s_1", "s_4", "s_5", "s_3"]),
        ("-status", ["s_3", "s_5", "s_4", "s_1", "s_2"]),
        ("last_seen", ["s_3", "s_5", "s_2", "s_4", "s_1"]),
        ("-last_seen", ["s_1", "s_4", "s_2", "s_5", "s_3"]),
        ("position", ["s_2", "s_3", "s_4", "s_1", "s_5"]),
        ("-position", ["s_5", "s_1", "s_4", "s_3", "s_2"]),
    ):
        for limit in (1, 2, 5, 6):
            assert expected == await pages(api, headers, sort, limit), (sort, limit)


async def test_filters_narrow_the_list(api: Api, headers: dict[str, str]) -> None:
    for parameters, expected in (
        ({"status": "online"}, ["s_5", "s_1", "s_4"]),
        ({"status": ["offline", "unknown"]}, ["s_2", "s_3"]),
        ({"tag": "db"}, ["s_5", "s_1", "s_2"]),
        ({"tag": ["db", "eu"]}, ["s_5", "s_1"]),
        ({"group": "g", "tag": "eu", "status": "online"}, ["s_5", "s_1", "s_4"]),
        ({"group": "none"}, []),
        ({"q": "ALPH"}, ["s_1"]),
        ({"q": "host-s_3"}, ["s_3"]),
        ({"q": "%_\\"}, ["s_5"]),
        ({"q": "a%a"}, []),
        ({"q": ""}, ["s_5", "s_1", "s_2", "s_3", "s_4"]),
    ):
        assert expected == await ids(api, headers, **parameters), parameters


async def test_the_total_counts_what_the_filters_leave(api: Api, headers: dict[str, str]) -> None:
    body = (await api.http.get(LIST, headers=headers, params={"tag": "db", "limit": 1})).json()
    assert (3, 1) == (body["total"], len(body["items"]))


async def test_a_wrong_parameter_is_named(api: Api, headers: dict[str, str]) -> None:
    for parameter, value in (("limit", "x"), ("cursor", "x"), ("sort", "x"), ("status", "x"), ("colour", "x")):
        answer = await api.http.get(LIST, headers=headers, params={parameter: value})
        assert (400, parameter) == (answer.status_code, answer.json()["errors"][0]["field"])


async def test_one_record_comes_with_its_version_as_etag(api: Api, headers: dict[str, str]) -> None:
    answer = await api.http.get(f"{LIST}/s_2", headers=headers)
    assert (200, '"2"') == (answer.status_code, answer.headers["etag"])
    assert ("s_2", 2, "beta") == tuple(answer.json()[name] for name in ("id", "version", "name"))


async def test_what_does_not_exist_is_not_found(api: Api, headers: dict[str, str]) -> None:
    for record_id in ("s_9", "s_theirs", "%00", "%20", "%F0%9F%98%80", "x" * 100, "s_1%0A"):
        answer = await api.http.get(f"{LIST}/{record_id}", headers=headers)
        assert (404, "not_found") == (answer.status_code, answer.json()["code"]), record_id
