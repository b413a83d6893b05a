"""One change is undone, and nothing else: by a new change, on the terms of any write."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from services.api.conditions import WriteTerms
from services.api.records.revert import Reverter
from shared.io.changelog.read import LogReader
from shared.io.problem import HttpError
from shared.names import Topic
from shared.operation import Draft, DraftAction, Operation
from shared.resources import RESOURCES
from shared.topic import Record
from tests.support.api import WORKSPACE, Api

WEBSITES = RESOURCES["websites"]


@pytest_asyncio.fixture
async def headers(api: Api) -> dict[str, str]:
    """Give the headers of an editor."""
    return await api.let_in("editor")


async def write(api: Api, record_id: str, action: DraftAction = "put", **fields: object) -> int:
    """Write a website as the api does, with its claim, and wait until PostgreSQL has it; return its version."""
    data, domain = b"", ""
    if action != "delete":
        website = msgspec.convert(fields, WEBSITES.model)
        data, domain = msgspec.json.encode(website), str(fields["primary_domain"])
    draft = Draft(id=record_id, action=action, data=data, unique=(("primary_domain", domain),))
    operation = Operation(topic=Topic(WORKSPACE, "websites"), drafts=(draft,), actor="test")
    version = (await api.log.append(operation)).version
    await api.settled("websites", version)
    return version


async def revert(
    api: Api, headers: dict[str, str], version: int, record_id: str = "ws_1", resource: str = "websites", **more: str
) -> httpx.Response:
    sent = headers | {name.replace("_", "-"): value for name, value in more.items()}
    return await api.http.post(f"/api/v1/{resource}/{record_id}/revert", json={"version": version}, headers=sent)


async def stored(api: Api, record_id: str = "ws_1") -> dict[str, Any] | None:
    row = await api.pool.fetchrow("SELECT * FROM websites WHERE (workspace_id, id) = ($1, $2)", WORKSPACE, record_id)
    return None if row is None else dict(row)


async def event(api: Api, version: int) -> tuple[str, str]:
    row = await api.pool.fetchrow(
        "SELECT event_type, actor FROM ws_events WHERE (workspace_id, topic, id) = ($1, 'websites', $2)",
        WORKSPACE,
        version,
    )
    return row["event_type"], row["actor"]


async def test_an_edit_is_undone_and_later_edits_stay(api: Api, headers: dict[str, str]) -> None:
    await write(api, "ws_1", primary_domain="a.example", status="old")
    edit = await write(api, "ws_1", primary_domain="a.example", status="new")
    await write(api, "ws_1", primary_domain="a.example", status="new", cname="c.example")
    answer = await revert(api, headers, edit)
    assert (200, '"4"', 4) == (answer.status_code, answer.headers["etag"], answer.json()["version"])
    row = await stored(api)
    assert row is not None
    assert (4, "old", "c.example") == (row["version"], row["status"], row["cname"])
    assert ("update", "u_editor") == await event(api, 4)
    again = await revert(api, headers, 4)
    assert (200, "new") == (again.status_code, again.json()["status"])


async def test_an_edit_that_was_edited_over_is_not_undone(api: Api, headers: dict[str, str]) -> None:
    await write(api, "ws_1", primary_domain="a.example", status="a")
    edit = await write(api, "ws_1", primary_domain="a.example", status="b", cname="c.example")
    await write(api, "ws_1", primary_domain="a.example", status="c", cname="c.example")
    for _ in range(2):
        answer = await revert(api, headers, edit)
        assert (409, "changed_since") == (answer.status_code, answer.json()["code"])
        assert ["status"] == [error["field"] for error in answer.json()["errors"]]
        # the value that it led to is there again, but by another change
        await write(api, "ws_1", primary_domain="a.example", status="b", cname="c.example")


async def test_a_creation_is_undone_by_deleting(api: Api, headers: dict[str, str]) -> None:
    made = await write(api, "ws_1", primary_domain="a.example")
    answer = await revert(api, headers, made)
    assert (204, b"") == (answer.status_code, answer.content)
    assert None is await stored(api)
    assert ("delete", "u_editor") == await event(api, 2)
    assert 3 == await write(api, "ws_2", "create", primary_domain="a.example")


async def test_a_deletion_is_undone_by_bringing_the_record_back(api: Api, headers: dict[str, str]) -> None:
    await write(api, "ws_1", primary_domain="a.example", status="old", domains=["x.example"])
    before = await stored(api)
    gone = await write(api, "ws_1", "delete")
    answer = await revert(api, headers, gone)
    assert (200, "ws_1", "old") == (answer.status_code, answer.json()["id"], answer.json()["status"])
    assert before is not None
    assert before | {"version": 3} == await stored(api)
    assert ("add", "u_editor") == await event(api, 3)
    assert 409 == (await revert(api, headers, gone)).status_code


async def test_what_people_write_they_can_undo(api: Api, headers: dict[str, str]) -> None:
    made = await api.http.post("/api/v1/websites", json={"primary_domain": "a.example"}, headers=headers)
    path, record_id = made.headers["location"], made.json()["id"]
    edited = await api.http.patch(path, json={"primary_domain": "b.example"}, headers=headers)
    deleted = await api.http.delete(path, headers=headers)
    assert (201, 200, 204) == (made.status_code, edited.status_code, deleted.status_code)
    back = await revert(api, headers, 3, record_id)
    assert (200, "b.example") == (back.status_code, back.json()["primary_domain"])
    other = await api.http.post("/api/v1/websites", json={"primary_domain": "a.example"}, headers=headers)
    assert (409, "not_unique") == (
        (taken := await revert(api, headers, 2, record_id)).status_code,
        taken.json()["code"],
    )
    assert 204 == (await revert(api, headers, other.json()["version"], other.json()["id"])).status_code
    assert "a.example" == (await revert(api, headers, 2, record_id)).json()["primary_domain"]
    history = (await api.http.get(f"{path}/changes", headers=headers)).json()["items"]
    assert ["updated", "created", "deleted", "updated", "created"] == [item["action"] for item in history]
    assert {"u_editor"} == {item["actor"] for item in history}
    past = (await api.http.get("/api/v1/websites?at_version=2", headers=headers)).json()
    assert ["b.example"] == [item["primary_domain"] for item in past["items"]]


async def test_a_unique_value_that_another_record_has_now_is_named(api: Api, headers: dict[str, str]) -> None:
    await write(api, "ws_1", primary_domain="a.example")
    renamed = await write(api, "ws_1", primary_domain="b.example")
    await write(api, "ws_2", primary_domain="a.example")
    gone = await write(api, "ws_2", "delete")
    await write(api, "ws_3", primary_domain="a.example")
    for record_id, version in (("ws_1", renamed), ("ws_2", gone)):
        answer = await revert(api, headers, version, record_id)
        assert (409, "not_unique") == (answer.status_code, answer.json()["code"])
        assert "primary_domain" == answer.json()["errors"][0]["field"]
    await write(api, "ws_3", "delete")
    assert 200 == (await revert(api, headers, renamed)).status_code
    assert 409 == (await revert(api, headers, gone, "ws_2")).status_code


async def test_changes_that_the_journal_does_not_have_are_not_found(api: Api, headers: dict[str, str]) -> None:
    await write(api, "ws_1", primary_domain="a.example")
    await write(api, "ws_2", primary_domain="b.example")
    edit = await write(api, "ws_1", primary_domain="a.example", status="new")
    for version, record_id in ((2, "ws_1"), (9, "ws_1"), (1, "ws_9"), (1, "%00")):
        assert 404 == (await revert(api, headers, version, record_id)).status_code
    await api.pool.execute("DELETE FROM ws_events WHERE id < 3")
    answer = await revert(api, headers, edit)
    assert (404, "unknown_change") == (answer.status_code, answer.json()["code"])
    for body in ({}, {"version": 0}, {"version": "1"}, {"version": 2**53}, {"version": 1, "id": "x"}):
        answer = await api.http.post("/api/v1/websites/ws_1/revert", json=body, headers=headers)
        assert 422 == answer.status_code, body


async def test_the_terms_of_a_write_hold(api: Api, headers: dict[str, str]) -> None:
    made = await write(api, "ws_1", primary_domain="a.example", status="old")
    edit = await write(api, "ws_1", primary_domain="a.example", status="new")
    assert 412 == (await revert(api, headers, edit, if_match='"1"')).status_code
    first = await revert(api, headers, edit, if_match='"2"', idempotency_key="k-1")
    second = await revert(api, headers, edit, if_match='"2"', idempotency_key="k-1")
    assert (200, 200, 3) == (first.status_code, second.status_code, second.json()["version"])
    assert first.content == second.content
    assert 422 == (await revert(api, headers, made, idempotency_key="k-1")).status_code
    gone = await write(api, "ws_1", "delete")
    assert 412 == (await revert(api, headers, gone, if_match='"3"')).status_code
    answer = await revert(api, headers, gone, prefer="respond-async")
    assert (202, "respond-async") == (answer.status_code, answer.headers["preference-applied"])
    await api.settled("websites", answer.json()["version"])


async def test_a_deletion_that_is_not_waited_for_is_accepted(api: Api, headers: dict[str, str]) -> None:
    made = await write(api, "ws_1", primary_domain="a.example")
    answer = await revert(api, headers, made, prefer="respond-async", idempotency_key="k-1")
    assert (202, None) == (answer.status_code, answer.json())
    await api.settled("websites", made + 1)
    repeated = await revert(api, headers, made, idempotency_key="k-1")
    assert 204 == repeated.status_code
    assert made + 1 == await api.pool.fetchval("SELECT version FROM topics WHERE resource = 'websites'")


async def test_of_servers_only_what_people_write_is_undone(api: Api, headers: dict[str, str]) -> None:
    made = await api.put("servers", "s_1", name="one", status="online")
    renamed = await api.put("servers", "s_1", name="two", status="online")
    went_off = await api.put("servers", "s_1", name="two", status="offline")
    await api.settled("servers", went_off)
    for version in (made, went_off):
        answer = await revert(api, headers, version, "s_1", "servers")
        assert (422, "not_revertible") == (answer.status_code, answer.json()["code"])
    answer = await revert(api, headers, renamed, "s_1", "servers")
    assert (200, "one", "offline") == (answer.status_code, answer.json()["name"], answer.json()["status"])


class OvertakenReader(LogReader):
    """Lets something happen right after the first read of records."""

    overtake: Callable[[], Awaitable[object]] | None = None

    async def records(self, topic: Topic, ids: Iterable[str]) -> dict[str, Record]:
        """Read single records."""
        found = await super().records(topic, ids)
        overtake, self.overtake = self.overtake, None
        if overtake is not None:
            await overtake()
        return found


async def test_an_edit_that_comes_in_between_is_seen(api: Api) -> None:
    await write(api, "ws_1", primary_domain="a.example", status="old")
    edit = await write(api, "ws_1", primary_domain="a.example", status="new")
    reader = OvertakenReader(api.redis)
    reverter = Reverter(api.pool, reader, api.parts.writer)
    site: dict[str, Any] = {"primary_domain": "a.example", "cname": "c.example"}
    reader.overtake = lambda: write(api, "ws_1", **site, status="newer")
    with pytest.raises(HttpError, match="changed again since: status"):
        await reverter.revert(WEBSITES, "ws_1", edit, WriteTerms(WORKSPACE, "u_1", "o_1"))
    later = await write(api, "ws_1", **site, status="newest")
    reader.overtake = lambda: write(api, "ws_1", **site, status="newest", https_enabled=False)
    written = await reverter.revert(WEBSITES, "ws_1", later, WriteTerms(WORKSPACE, "u_1", "o_2"))
    fields = msgspec.json.decode(written.records[0].data)
    assert ("newer", "c.example", False) == (fields["status"], fields["cname"], fields["https_enabled"])


async def test_a_record_that_is_deleted_in_between_is_not_brought_back(api: Api) -> None:
    await write(api, "ws_1", primary_domain="a.example", status="old")
    edit = await write(api, "ws_1", primary_domain="a.example", status="new")
    reader = OvertakenReader(api.redis)
    reader.overtake = lambda: write(api, "ws_1", "delete")
    reverter = Reverter(api.pool, reader, api.parts.writer)
    with pytest.raises(HttpError, match="deleted since"):
        await reverter.revert(WEBSITES, "ws_1", edit, WriteTerms(WORKSPACE, "u_1", "o_1"))
    assert None is await stored(api)
