"""Edits are merged, checked, appended in the version that was read, and answered when PostgreSQL has them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from shared.io.changelog.read import LogReader
from shared.names import PARTITIONS, PartitionKeys, Topic
from shared.resources import RESOURCES
from shared.topic import Snapshot
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api
from tests.support.log import open_log, recent

SERVER = "/api/v1/servers/s_1"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@pytest_asyncio.fixture
async def headers(api: Api) -> AsyncIterator[dict[str, str]]:
    """Give the headers of an editor, once there is a server."""
    await api.settled("servers", await api.put("servers", "s_1", name="one", tags=["a"], notes="old"))
    yield await api.let_in("editor")


async def patch(api: Api, headers: dict[str, str], body: object, **more: str) -> httpx.Response:
    return await api.http.patch(SERVER, json=body, headers=headers | {k.replace("_", "-"): v for k, v in more.items()})


async def stored(api: Api) -> dict[str, Any]:
    return dict(await api.pool.fetchrow("SELECT * FROM servers WHERE workspace_id = $1 AND id = 's_1'", WORKSPACE))


async def hot(api: Api) -> Snapshot:
    return await LogReader(api.redis).snapshot(Topic(WORKSPACE, "servers"))


async def test_an_edit_is_in_postgres_when_it_is_answered(api: Api, headers: dict[str, str]) -> None:
    answer = await patch(api, headers, {"tags": ["b"], "price": 5})
    row = await stored(api)
    assert (200, '"2"') == (answer.status_code, answer.headers["etag"])
    assert (2, ["b"], 5.0, "old") == (row["version"], row["tags"], row["price"], row["notes"])
    shown = (await api.http.get(SERVER, headers=headers)).json()
    assert shown == answer.json()
    (record,) = (await hot(api)).records
    assert (2, record.data[1:]) == (record.version, answer.content.partition(b'"version":2,')[2])


async def test_the_log_says_who_did_it(api: Api, headers: dict[str, str]) -> None:
    await patch(api, headers, {"notes": "new"})
    (_, change_set) = await recent(api.redis, Topic(WORKSPACE, "servers"), entries=10)
    assert "u_editor" == change_set.actor
    assert change_set.operation == await api.pool.fetchval("SELECT id FROM operations")


async def test_merge_patch_has_a_name_of_its_own(api: Api, headers: dict[str, str]) -> None:
    answer = await api.http.patch(SERVER, content=b'{"notes":null}', headers=headers | MERGE_PATCH)
    assert (200, "") == (answer.status_code, answer.json()["notes"])


async def test_an_edit_that_changes_nothing_appends_nothing(api: Api, headers: dict[str, str]) -> None:
    answer = await patch(api, headers, {"notes": "old", "tags": ["a"]})
    assert (200, 1, '"1"') == (answer.status_code, answer.json()["version"], answer.headers["etag"])
    assert 1 == (await hot(api)).version


async def test_bad_bodies_are_refused_and_nothing_is_stored(api: Api, headers: dict[str, str]) -> None:
    json = {"Content-Type": "application/json"}
    for status, body, sent in (
        (400, b"", json),
        (400, b"{", json),
        (400, b'{"price": NaN}', json),
        (400, b'{"price": 1e999}', json),
        (400, b'{"notes": "\\ud800"}', json),
        (400, b'{"notes": "\xff"}', json),
        (400, b"[" * 100_000, json),
        (413, b'{"notes": "%b"}' % (b"x" * 1_000_000), json),
        (415, b'{"notes": "x"}', {"Content-Type": "text/plain"}),
        (415, b'{"notes": "x"}', {"Content-Type": "application/x-www-form-urlencoded"}),
        (415, b'{"notes": "x"}', {}),
        (422, b"[]", json),
        (422, b"null", json),
        (422, b'{"notes": "\\u0000"}', json),
        (422, b'{"name": "a\\n"}', json),
        (422, b'{"name": null}', json),
        (422, b'{"expires_at": "0001-01-01T00:00:00+14:00"}', json),
    ):
        answer = await api.http.patch(SERVER, content=body, headers=headers | sent)
        assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), body[:50]
    assert 1 == (await hot(api)).version


async def test_every_wrong_field_is_named(api: Api, headers: dict[str, str]) -> None:
    body = {"status": "online", "id": "s_2", "colour": 1, "tags": ["a", 7], "price": -1, "position": 2**31, "name": ""}
    answer = await patch(api, headers, body)
    assert (422, "invalid") == (answer.status_code, answer.json()["code"])
    expected = {"status", "id", "colour", "tags[1]", "price", "position", "name"}
    assert expected == {error["field"] for error in answer.json()["errors"]}


async def test_unknown_servers_are_not_found(api: Api, headers: dict[str, str]) -> None:
    await api.put("servers", "s_theirs", OTHER_WORKSPACE, name="theirs")
    for record_id in ("s_9", "s_theirs", "%00", "%F0%9F%98%80"):
        answer = await api.http.patch(f"/api/v1/servers/{record_id}", json={"notes": "x"}, headers=headers)
        assert 404 == answer.status_code, record_id


async def test_an_edit_of_another_version_than_the_named_one_loses(api: Api, headers: dict[str, str]) -> None:
    assert 412 == (await patch(api, headers, {"notes": "x"}, if_match='"7"')).status_code
    assert 412 == (await patch(api, headers, {"notes": "x"}, if_match='W/"1"')).status_code
    assert 400 == (await patch(api, headers, {"notes": "x"}, if_match="1")).status_code
    assert 200 == (await patch(api, headers, {"notes": "x"}, if_match='"1"')).status_code
    assert 412 == (await patch(api, headers, {"notes": "y"}, if_match='"1"')).status_code
    assert 200 == (await patch(api, headers, {"notes": "y"}, if_match="*")).status_code


async def test_of_edits_for_the_same_version_one_wins(api: Api, headers: dict[str, str]) -> None:
    answers = await asyncio.gather(*(patch(api, headers, {"notes": f"n{n}"}, if_match='"1"') for n in range(5)))
    assert [200, 412, 412, 412, 412] == sorted(answer.status_code for answer in answers)


async def test_edits_of_different_fields_at_once_all_happen(api: Api, headers: dict[str, str]) -> None:
    bodies = [{"notes": "new"}, {"tags": ["x"]}, {"price": 7}, {"hidden": True}]
    answers = await asyncio.gather(*(patch(api, headers, body) for body in bodies))
    assert [200] * 4 == [answer.status_code for answer in answers]
    row = await stored(api)
    assert ("new", ["x"], 7, True, 5) == tuple(row[f] for f in ("notes", "tags", "price", "hidden", "version"))


async def test_a_repeated_request_happens_once(api: Api, headers: dict[str, str]) -> None:
    first = await patch(api, headers, {"notes": "x"}, idempotency_key="k", if_match='"1"')
    assert 200 == (await patch(api, headers, {"notes": "y"})).status_code
    again = await patch(api, headers, {"notes": "x"}, idempotency_key="k", if_match='"1"')
    assert (200, 200) == (first.status_code, again.status_code)
    assert ("y", 3) == (again.json()["notes"], again.json()["version"])
    assert 3 == (await hot(api)).version


async def test_requests_with_one_key_at_once_happen_once(api: Api, headers: dict[str, str]) -> None:
    answers = await asyncio.gather(
        *(patch(api, headers, {"notes": "x"}, idempotency_key="k", if_match='"1"') for _ in range(5))
    )
    assert [200] * 5 == [answer.status_code for answer in answers]
    assert 2 == (await hot(api)).version


async def test_a_key_is_not_taken_for_another_request(api: Api, headers: dict[str, str]) -> None:
    await patch(api, headers, {"notes": "x"}, idempotency_key="k")
    other = await patch(api, headers, {"notes": "y"}, idempotency_key="k")
    assert (422, "idempotency_key_reused") == (other.status_code, other.json()["code"])
    colleague = await api.let_in("owner")
    assert 200 == (await patch(api, colleague, {"notes": "y"}, idempotency_key="k")).status_code


async def test_a_key_of_a_refused_request_may_be_used_for_a_better_one(api: Api, headers: dict[str, str]) -> None:
    assert 412 == (await patch(api, headers, {"notes": "x"}, idempotency_key="k", if_match='"7"')).status_code
    assert 422 == (await patch(api, headers, {"notes": 5}, idempotency_key="k")).status_code
    assert 200 == (await patch(api, headers, {"notes": "x"}, idempotency_key="k", if_match='"1"')).status_code
    assert 400 == (await patch(api, headers, {"notes": "x"}, idempotency_key="a b")).status_code


async def test_a_caller_need_not_wait(unapplied_api: Api) -> None:
    await unapplied_api.put("servers", "s_1", name="one")
    headers = await unapplied_api.let_in("editor")
    answer = await patch(unapplied_api, headers, {"notes": "x"}, prefer="respond-async")
    assert (202, "respond-async") == (answer.status_code, answer.headers["preference-applied"])
    assert ("x", 2) == (answer.json()["notes"], answer.json()["version"])


async def test_a_wait_that_runs_out_is_answered_as_accepted(unapplied_api: Api) -> None:
    await unapplied_api.put("servers", "s_1", name="one")
    headers = await unapplied_api.let_in("editor")
    answer = await patch(unapplied_api, headers, {"notes": "x"})
    assert 202 == answer.status_code
    assert "preference-applied" not in answer.headers
    assert 202 == (await patch(unapplied_api, headers, {"notes": "x"})).status_code, "what was read is not committed"


async def test_while_the_log_is_sealed_nothing_is_accepted(unapplied_api: Api) -> None:
    await unapplied_api.put("servers", "s_1", name="one")
    headers = await unapplied_api.let_in("editor")
    await unapplied_api.redis.delete(*(PartitionKeys(partition).epoch for partition in range(PARTITIONS)))
    answer = await patch(unapplied_api, headers, {"notes": "x"}, idempotency_key="k")
    assert (503, "log_sealed") == (answer.status_code, answer.json()["code"])
    assert int(answer.headers["retry-after"]) >= 1
    await unapplied_api.redis.flushdb()
    await open_log(unapplied_api.redis, epoch=2)
    await unapplied_api.put("servers", "s_1", name="one")
    assert 202 == (await patch(unapplied_api, headers, {"notes": "x"}, idempotency_key="k")).status_code


async def test_what_the_database_cannot_store_is_refused(api: Api, headers: dict[str, str]) -> None:
    await api.pool.execute("ALTER TABLE servers ADD CONSTRAINT no_x CHECK (notes <> 'x')")
    answer = await patch(api, headers, {"notes": "x"})
    assert (422, "not_storable") == (answer.status_code, answer.json()["code"])
    assert "old" == (await stored(api))["notes"]


async def test_where_topics_stand_is_told(api: Api, headers: dict[str, str]) -> None:
    await patch(api, headers, {"notes": "x"})
    answer = await api.http.get("/api/sync/status", headers=headers)
    assert {"epoch": "1", "versions": dict.fromkeys(RESOURCES, 0) | {"servers": 2}} == answer.json()


async def test_while_the_log_is_sealed_nobody_is_told_where_topics_stand(sealed_api: Api) -> None:
    answer = await sealed_api.http.get("/api/sync/status", headers=await sealed_api.let_in("viewer"))
    assert (503, "log_sealed") == (answer.status_code, answer.json()["code"])
    assert int(answer.headers["retry-after"]) >= 1
