"""What happened to a record can be read, newest first, with who altered what; also of one that is no more."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from shared.names import Topic
from shared.operation import Draft, Operation
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

CHANGES = "/api/v1/websites/ws_1/changes"


@pytest_asyncio.fixture
async def headers(api: Api) -> AsyncIterator[dict[str, str]]:
    """Give the headers of a viewer, once a website has come, changed and gone among others."""
    await api.put("websites", "ws_1", primary_domain="a.example")
    await api.put("websites", "ws_2", primary_domain="b.example")
    await api.put("websites", "ws_1", primary_domain="a.example", status="paused", domains=["x.example"])
    deletion = Draft(id="ws_1", action="delete")
    deleted = await api.log.append(Operation(topic=Topic(WORKSPACE, "websites"), drafts=(deletion,), actor="u_1"))
    await api.put("websites", "ws_theirs", OTHER_WORKSPACE, primary_domain="c.example")
    await api.settled("websites", deleted.version)
    await api.settled("websites", 1, OTHER_WORKSPACE)
    yield await api.let_in("viewer")


async def ask(api: Api, headers: dict[str, str], path: str = CHANGES, **parameters: object) -> httpx.Response:
    return await api.http.get(path, headers=headers, params=parameters)  # type: ignore[arg-type]  # whatever a test wants to send


async def test_changes_say_who_did_what(api: Api, headers: dict[str, str]) -> None:
    body = (await ask(api, headers)).json()
    deleted, updated, created = body["items"]
    assert None is body["next_cursor"]
    assert [(4, "deleted", "u_1"), (3, "updated", "test"), (1, "created", "test")] == [
        (item["version"], item["action"], item["actor"]) for item in (deleted, updated, created)
    ]
    now = dt.datetime.now(dt.UTC)
    assert all(abs(dt.datetime.fromisoformat(item["at"]) - now) < dt.timedelta(minutes=5) for item in body["items"])
    expected: dict[str, Any] = {
        "domains": {"before": [], "after": ["x.example"]},
        "status": {"before": "active", "after": "paused"},
    }
    assert expected == updated["fields"]
    assert ("paused", "a.example") == (updated["data"]["status"], updated["data"]["primary_domain"])
    assert {"before": None, "after": "a.example"} == created["fields"]["primary_domain"]
    assert (None, {"before": "paused", "after": None}) == (deleted["data"], deleted["fields"]["status"])


async def test_a_history_comes_in_pages(api: Api, headers: dict[str, str]) -> None:
    first = (await ask(api, headers, limit=2)).json()
    rest = (await ask(api, headers, limit=2, cursor=first["next_cursor"])).json()
    assert ([4, 3], [1]) == tuple([item["version"] for item in page["items"]] for page in (first, rest))
    assert None is rest["next_cursor"]
    assert "status" in first["items"][1]["fields"]
    exact = (await ask(api, headers, limit=3)).json()
    assert None is exact["next_cursor"]


async def test_of_the_oldest_event_that_is_left_nobody_knows_what_it_altered(api: Api, headers: dict[str, str]) -> None:
    await api.pool.execute("DELETE FROM ws_events WHERE id = 1")
    oldest = (await ask(api, headers)).json()["items"][-1]
    assert (3, None, "paused") == (oldest["version"], oldest["fields"], oldest["data"]["status"])


async def test_an_event_that_cannot_be_read_is_left_out(api: Api, headers: dict[str, str]) -> None:
    await api.pool.execute("UPDATE ws_events SET payload = $1 WHERE id = 3", b'{"primary_domain": 7}')
    assert [1] == [item["version"] for item in (await ask(api, headers)).json()["items"]]


async def test_what_is_not_known_and_what_is_wrong(api: Api, headers: dict[str, str]) -> None:
    for path in ("ws_9", "ws_theirs", "%00", "x" * 65):
        assert 404 == (await ask(api, headers, f"/api/v1/websites/{path}/changes")).status_code, path
    other = (await ask(api, headers, "/api/v1/websites/ws_1/changes", limit=1)).json()["next_cursor"]
    for parameters in ({"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"limit": [1, 2]}, {"at_version": 1}):
        assert 400 == (await ask(api, headers, **parameters)).status_code, parameters
    answer = await ask(api, headers, "/api/v1/websites/ws_2/changes", cursor=other)
    assert (400, "cursor") == (answer.status_code, answer.json()["errors"][0]["field"])
