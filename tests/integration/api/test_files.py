"""Lists go out as files and come in again: at one version, all or nothing, and elsewhere the same records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from services.api.records import exporting, importing
from services.api.records.importing import MAX_IMPORT_BYTES, MAX_ROWS
from shared.io.database.records import read_records
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

TAGS = "/api/v1/tags"


@pytest_asyncio.fixture
async def editor(api: Api) -> AsyncIterator[dict[str, str]]:
    yield await api.let_in("editor")


async def export(api: Api, headers: dict[str, str], path: str, **query: str) -> httpx.Response:
    answer = await api.http.get(f"{path}/export", params=query, headers=headers)
    assert 200 == answer.status_code, answer.text
    return answer


async def load(api: Api, headers: dict[str, str], path: str, file: bytes | str, **query: str) -> httpx.Response:
    return await api.http.post(f"{path}/import", content=file, params={"format": "csv"} | query, headers=headers)


async def listed(api: Api, headers: dict[str, str], path: str = TAGS) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.http.get(path, params={"limit": 1000}, headers=headers)).json()["items"]
    return items


async def stand(api: Api, resource: str = "tags", workspace: str = WORKSPACE) -> int | None:
    query = "SELECT version FROM topics WHERE workspace_id = $1 AND resource = $2"
    version: int | None = await api.pool.fetchval(query, workspace, resource)
    return version


@pytest.mark.parametrize("form", ["csv", "json"])
async def test_a_list_is_the_same_in_another_workspace(api: Api, editor: dict[str, str], form: str) -> None:
    formula = {"name": '=HYPERLINK("x")', "sku": "1", "tags": ["a;b", "[c"], "description": "two\r\nlines, \"'=\n"}
    data = [formula, {"name": "plain", "price": 1.5, "available": False}, {"name": "ü", "sku": "-2"}]
    operations = [{"action": "create", "data": each} for each in data]
    await api.http.post("/api/v1/products/bulk", json={"operations": operations}, headers=editor)
    file = await export(api, editor, "/api/v1/products", format=form)
    assert f'attachment; filename="products.{form}"' == file.headers["content-disposition"]
    assert '"1-3"' == file.headers["etag"]
    stranger = await api.let_in("stranger")
    report = (await load(api, stranger, "/api/v1/products", file.content, format=form)).json()
    assert (3, 1, []) == (len(report["created"]), report["change_sets"], report["errors"])
    ours, theirs = [await listed(api, who, "/api/v1/products") for who in (editor, stranger)]
    assert [each | {"version": 0} for each in ours] == [each | {"version": 0} for each in theirs]
    again = (await load(api, stranger, "/api/v1/products", file.content, format=form)).json()
    assert (3, 0, 3) == (len(again["unchanged"]), again["change_sets"], again["version"])


async def test_a_file_has_what_the_filters_leave_in_the_order_of_the_list(api: Api, editor: dict[str, str]) -> None:
    operations = [{"action": "create", "data": {"name": f"t{n:04}", "position": n % 7}} for n in range(1000)]
    for part in (operations, [{"action": "create", "data": {"name": f"u{n:04}"}} for n in range(300)]):
        assert 200 == (await api.http.post(f"{TAGS}/bulk", json={"operations": part}, headers=editor)).status_code
    everything = msgspec.json.decode((await export(api, editor, TAGS, format="json", sort="-position")).content)
    assert 1300 == len({each["id"] for each in everything})
    positions = [each["position"] for each in everything]
    assert sorted(positions, reverse=True) == positions
    some = (await export(api, editor, TAGS, format="csv", q="u00", sort="-name")).text.splitlines()
    assert (101, "id,version,name,color,position") == (len(some), some[0])
    assert [f"u00{n:02}" for n in reversed(range(100))] == [line.split(",")[2] for line in some[1:]]
    empty = await export(api, editor, TAGS, format="json", q="nothing like it")
    assert [] == msgspec.json.decode(empty.content)


async def test_a_file_is_of_one_version_whatever_happens_meanwhile(
    api: Api, editor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(api, editor, TAGS, "name\n" + "\n".join(f"t{n}" for n in range(5)))

    async def overtaken(*arguments: Any) -> Any:  # noqa: ANN401  (passed on)
        if 5 == await stand(api):
            await load(api, editor, TAGS, "name,position\nt4,9\nt9,0\n")
        return await read_records(*arguments)

    monkeypatch.setattr(exporting, "MAX_LIMIT", 2)
    monkeypatch.setattr(exporting, "read_records", overtaken)
    file = await export(api, editor, TAGS, format="json")
    assert ('"1-5"', 7) == (file.headers["etag"], await stand(api))
    assert [(f"t{n}", 0) for n in range(5)] == [(each["name"], each["position"]) for each in file.json()]


async def test_a_dry_run_says_everything_and_does_nothing(api: Api, editor: dict[str, str]) -> None:
    file = "id,name,color\n,a,\n,b,#000000\n"
    assert 200 == (await load(api, editor, TAGS, file)).status_code
    before = await listed(api, editor)
    a, b = (each["id"] for each in before)
    changed = f"id,name,color,position\n,a,#ffffff,5\n{b},b,#000000,\n,c,,\n,d,red,x\nno id,e,,\n"
    report = (await load(api, editor, TAGS, changed, dry_run="true")).json()
    assert [(2, 1, a, ["color", "position"])] == [tuple(each.values()) for each in report["updated"]]
    assert [(3, 2, b, [])] == [tuple(each.values()) for each in report["unchanged"]]
    assert [4] == [each["line"] for each in report["created"]]
    expected = [(5, "color"), (5, "position"), (6, "id")]
    assert expected == [(each["line"], each["field"]) for each in report["errors"]]
    refused = await load(api, editor, TAGS, changed)
    assert (422, "invalid") == (refused.status_code, refused.json()["code"])
    assert "3 faults" in refused.json()["detail"]
    assert ["line 5: color", "line 5: position", "line 6: id"] == [each["field"] for each in refused.json()["errors"]]
    assert before == await listed(api, editor)
    assert 2 == await stand(api)


async def test_a_file_of_many_changes_is_written_in_several_sets(
    api: Api, editor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "name\n" + "\n".join(f"t{n}" for n in range(2500))
    report = (await load(api, editor, TAGS, file)).json()
    assert (2500, 3, 2500) == (len(report["created"]), report["change_sets"], report["version"])
    assert 3 == await api.pool.fetchval("SELECT count(*) FROM operations")
    assert 2500 == await api.pool.fetchval("SELECT count(*) FROM audit_log WHERE actor = 'u_editor'")
    # in the middle of the next one somebody takes a name away
    monkeypatch.setattr(importing, "CHANGES_AT_ONCE", 2)
    carry_out = api.parts.imports.carry_out

    async def overtaken(*arguments: Any) -> Any:  # noqa: ANN401  (passed on)
        await api.http.post(TAGS, json={"name": "x4"}, headers=editor)
        return await carry_out(*arguments)

    monkeypatch.setattr(api.parts.imports, "carry_out", overtaken)
    answer = await load(api, editor, TAGS, "name\n" + "\n".join(f"x{n}" for n in range(6)))
    assert (409, "partly_imported") == (answer.status_code, answer.json()["code"])
    assert "4 of 6 changes were made, then: another record has this name" in answer.json()["detail"]
    assert {f"x{n}" for n in range(5)} == {
        row["name"] for row in await api.pool.fetch("SELECT name FROM tags WHERE name LIKE 'x%'")
    }


async def test_a_set_is_all_or_nothing(api: Api, editor: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out = api.parts.imports.carry_out

    async def overtaken(*arguments: Any) -> Any:  # noqa: ANN401  (passed on)
        await api.http.post(TAGS, json={"name": "b"}, headers=editor)
        return await carry_out(*arguments)

    monkeypatch.setattr(api.parts.imports, "carry_out", overtaken)
    answer = await load(api, editor, TAGS, "name\na\nb\nc\n")
    assert (409, "not_unique") == (answer.status_code, answer.json()["code"])
    assert ["line 3: name"] == [each["field"] for each in answer.json()["errors"]]
    assert ["b"] == [each["name"] for each in await listed(api, editor)]


async def test_a_repeated_request_makes_nothing_twice(api: Api, editor: dict[str, str]) -> None:
    zones = "/api/v1/categories"
    once = editor | {"Idempotency-Key": "k"}
    first, second = [await load(api, once, zones, "name\na\na\n", mode="create") for _ in range(2)]
    assert ((200, 2), (200, 2)) == (
        (first.status_code, len(first.json()["created"])),
        (second.status_code, len(second.json()["unchanged"])),
    )
    assert 2 == len(await listed(api, editor, zones))
    other = await load(api, once, zones, "name\nb\n")
    assert (422, "idempotency_key_reused") == (other.status_code, other.json()["code"])


async def test_files_at_once_lose_nothing(api: Api, editor: dict[str, str]) -> None:
    files = [f"id,name\nt_{n},{n}\nt_both,both\n" for n in range(4)]
    answers = await asyncio.gather(*(load(api, editor, TAGS, file) for file in files))
    assert {200, 409} >= {answer.status_code for answer in answers}
    done = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert done
    assert {*(f"t_{n}" for n in done), "t_both"} == {each["id"] for each in await listed(api, editor)}


async def test_bounds_and_bad_requests(api: Api, editor: dict[str, str]) -> None:
    for status, file, query in (
        (413, b"x" * (MAX_IMPORT_BYTES + 1), {}),
        (413, b"name\n" + b"a\n" * (MAX_ROWS + 1), {"dry_run": "true"}),
        (400, b"name\n\xff\n", {}),
        (400, b"name\na\n", {"format": "xml"}),
        (400, b"name\na\n", {"mode": "replace"}),
        (400, b"name\na\n", {"dry_run": "perhaps"}),
        (422, b"", {}),
        (422, b"[]x", {"format": "json"}),
    ):
        answer = await load(api, editor, TAGS, file, **query)
        assert status == answer.status_code, (file[:20], query, answer.text)
    for query in ({}, {"format": "xml"}, {"format": "csv", "limit": "1"}, {"format": "csv", "sort": "x"}):
        assert 400 == (await api.http.get(f"{TAGS}/export", params=query, headers=editor)).status_code
    assert None is await stand(api)
    assert 200 == (await load(api, editor, TAGS, b"\xef\xbb\xbfname\r\nwith a mark\r\n")).status_code
    assert 200 == (await load(api, editor, TAGS, b"[]", format="json")).status_code


async def test_who_may_write_may_import_and_who_may_read_may_export(api: Api) -> None:
    viewer = await api.let_in("viewer")
    assert 403 == (await load(api, viewer, TAGS, "name\na\n", dry_run="true")).status_code
    assert "id,version,name,color,position\r\n" == (await export(api, viewer, TAGS, format="csv")).text
    for path in ("agents", "metrics"):
        assert 404 == (await api.http.get(f"/api/v1/{path}/export", headers=viewer)).status_code
    assert None is await stand(api, workspace=OTHER_WORKSPACE)
