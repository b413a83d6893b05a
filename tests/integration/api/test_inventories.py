"""What servers are made of, and how that has changed, for those who may read it."""

import datetime as dt
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; inventories are not read from the log."""
    return sealed_api


async def add_server(api: Api, workspace_id: str = WORKSPACE) -> None:
    await api.pool.execute(
        "INSERT INTO servers (workspace_id, id, version, name, hostname, machine_id, status, tags, groups, notes, "
        "hidden, position, os, agent_version, provider, currency, billing_cycle) "
        "VALUES ($1, 's_1', 1, 'web', '', '', 'online', '{}', '{}', '', false, 0, $2, '', '', '', '')",
        workspace_id,
        b"{}",
    )


async def add_inventory(api: Api, versions: int = 0, workspace_id: str = WORKSPACE) -> None:
    await api.pool.execute(
        "INSERT INTO inventories VALUES ($1, 's_1', '', $2, $3, $4, $4)",
        workspace_id,
        msgspec.json.encode({"cores": versions, "packages": 7}),
        b'{"name":"Debian","version":"13","kernel":"6.12","arch":"x86_64"}',
        NOW,
    )
    await api.pool.executemany(
        "INSERT INTO inventory_changes (workspace_id, server_id, at, difference) VALUES ($1, 's_1', $2, $3)",
        [(workspace_id, NOW + n // 2 * MINUTE, msgspec.json.encode({"cores": [n, n + 1]})) for n in range(versions)],
    )


async def ask(
    api: Api,
    path: str = "",
    who: str = "viewer",
    server_id: str = "s_1",
    **parameters: Any,  # noqa: ANN401  (values of parameters)
) -> httpx.Response:
    named = {{"begin": "from", "end": "to"}.get(name, name): value for name, value in parameters.items()}
    url = f"/api/v1/servers/{server_id}/inventory{path}"
    return await api.http.get(url, params=named, headers=await api.let_in(who))


async def test_latest_inventory_is_told(api: Api) -> None:
    await add_server(api)
    await add_inventory(api, 3)
    assert {
        "os": {"name": "Debian", "version": "13", "kernel": "6.12", "arch": "x86_64"},
        "inventory": {"cores": 3, "packages": 7},
        "told_at": "2026-03-01T12:00:00Z",
        "changed_at": "2026-03-01T12:00:00Z",
    } == (await ask(api)).json()


async def test_server_that_has_told_nothing_has_an_empty_inventory(api: Api) -> None:
    await add_server(api)
    found = (await ask(api)).json()
    assert ({}, None, None) == (found["inventory"], found["told_at"], found["changed_at"])
    assert {"items": [], "next_cursor": None} == (await ask(api, "/history")).json()


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_have_each_version_once_the_newest_first(api: Api, limit: int) -> None:
    await add_server(api)
    await add_inventory(api, 7)
    found: list[Any] = []
    parameters: dict[str, Any] = {"limit": limit}
    while True:
        page = (await ask(api, "/history", **parameters)).json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert [[n, n + 1] for n in reversed(range(7))] == [version["difference"]["cores"] for version in found]
    assert ("2026-03-01T12:03:00Z", "2026-03-01T12:00:00Z") == (found[0]["at"], found[-1]["at"])


async def test_versions_are_those_of_the_time_in_question(api: Api) -> None:
    await add_server(api)
    await add_inventory(api, 7)
    page = await ask(api, "/history", begin="2026-03-01T12:01:00Z", end="2026-03-01T12:03:00Z")
    assert [[5, 6], [4, 5], [3, 4], [2, 3]] == [version["difference"]["cores"] for version in page.json()["items"]]


async def test_inventory_of_another_workspace_is_not_read(api: Api) -> None:
    await add_server(api)
    await add_server(api, OTHER_WORKSPACE)
    await add_inventory(api, 2, OTHER_WORKSPACE)
    assert {} == (await ask(api)).json()["inventory"]
    assert [] == (await ask(api, "/history")).json()["items"]
    assert 2 == len((await ask(api, "/history", who="stranger")).json()["items"])


@pytest.mark.parametrize("path", ["", "/history"])
@pytest.mark.parametrize("server_id", ["s_2", "x" * 65, "%00"])
async def test_unknown_server_is_not_found(api: Api, path: str, server_id: str) -> None:
    await add_inventory(api, 1)
    assert 404 == (await ask(api, path, server_id=server_id)).status_code


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"from": "1700000000"}, "from"),
        ({"to": "2026-01-01T00:00:00"}, "to"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "from"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WyItYXQiLCIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsInNfMSJd"}, "cursor"),
        ({"cursor": "WyItYXQiLCIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIjk5OTk5OTk5OTk5OTk5OTk5OTk5Il0"}, "cursor"),
        ({"sort": "at"}, "sort"),
    ],
)
async def test_wrong_parameter_is_named(api: Api, parameters: dict[str, str], field: str) -> None:
    await add_server(api)
    response = await ask(api, "/history", **parameters)
    assert (400, field) == (response.status_code, response.json()["errors"][0]["field"])
