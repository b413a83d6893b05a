"""Every route tells those whom it is not for, as its document says; for whom each is stands in test_permissions."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.io.litestar_openapi import MEDIA_TYPE
from shared.resources.servers import Server
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api

DOCUMENT = "/api/openapi.json"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; who may do what is decided without the log."""
    return sealed_api


@pytest_asyncio.fixture
async def document(api: Api) -> AsyncIterator[dict[str, Any]]:
    """Give the OpenAPI document."""
    answer = await api.http.get(DOCUMENT)
    assert (200, MEDIA_TYPE) == (answer.status_code, answer.headers["content-type"])
    yield answer.json()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path.replace("{", "").replace("}", ""), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def ask(api: Api, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    return await api.http.request(method, path, headers=headers | JSON, content=b"{}")


def is_public(operation: dict[str, Any]) -> bool:
    return {} in operation.get("security", [])


async def test_the_document_is_of_the_version_that_it_says(document: dict[str, Any]) -> None:
    assert "3.1.0" == document["openapi"]


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(inner) for inner in value.values()))
    return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()


async def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert schemas >= references(document)
    assert "#/components/schemas/Problem" in schemas


async def test_the_document_describes_records_as_the_model_does(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert ["id", "version", *Server.__struct_fields__] == list(schemas["ServerRecord"]["properties"])
    assert schemas["ServerRecord"]["required"] == list(schemas["ServerRecord"]["properties"])
    assert 0 == schemas["ServerPatch"]["properties"]["price"]["anyOf"][0]["minimum"]
    assert schemas["ServerPatch"]["additionalProperties"] is False
    assert "status" not in schemas["ServerPatch"]["properties"]


async def test_without_a_token_only_public_routes_answer(api: Api, document: dict[str, Any]) -> None:
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
    )
    for method, path, operation in operations(document):
        for headers in wrong:
            answer = await ask(api, method, path, headers)
            if is_public(operation):
                # without a body, of a build that there is none of, or what anybody may have
                assert answer.status_code in ({200, 404} if method.upper() == "GET" else {422}), path
            else:
                assert (401, "Bearer") == (answer.status_code, answer.headers["www-authenticate"]), path
                assert "application/problem+json" == answer.headers["content-type"]


async def test_a_user_of_several_workspaces_names_one(api: Api) -> None:
    both = await api.let_in("both")
    unnamed = await api.http.get("/api/v1/servers", headers=both)
    assert (400, "workspace_required") == (unnamed.status_code, unnamed.json()["code"])
    for workspace, status in ((WORKSPACE, 403), (OTHER_WORKSPACE, 201)):
        headers = both | {"X-Workspace": workspace}
        assert 200 == (await api.http.get("/api/v1/servers", headers=headers)).status_code
        answer = await api.http.post("/api/v1/enrolment-tokens", json={"name": "x"}, headers=headers)
        assert status == answer.status_code


async def test_a_user_without_workspaces_is_known_but_has_nowhere_to_go(api: Api) -> None:
    nobody = await api.let_in("nobody")
    assert [] == (await api.http.get("/api/v1/me", headers=nobody)).json()["workspaces"]
    assert 403 == (await api.http.get("/api/v1/servers", headers=nobody)).status_code


async def test_unknown_parameters_are_named_everywhere(api: Api, document: dict[str, Any]) -> None:
    owner = await api.let_in("owner")
    for method, path, _ in operations(document):
        answer = await ask(api, method, f"{path}?colour=red", owner)
        assert (400, "colour") == (answer.status_code, answer.json()["errors"][0]["field"]), path


async def test_unknown_paths_and_methods_are_problems(api: Api) -> None:
    for method, path, status in (
        ("GET", "/", 404),
        ("GET", "/api", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/v1/planets", 404),
        ("GET", "/schema", 404),
        ("PUT", "/api/v1/servers", 405),
        ("DELETE", "/api/v1/me", 405),
        ("POST", "/api/openapi.json", 405),
    ):
        answer = await api.http.request(method, path)
        assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), path
        assert status == answer.json()["status"]
        assert answer.headers["x-request-id"]
        assert status != 405 or "GET" in answer.headers["allow"]


async def test_what_a_path_can_do_is_told_to_everybody(api: Api) -> None:
    answer = await api.http.options("/api/v1/servers")
    assert (204, {"GET", "POST", "OPTIONS"}) == (answer.status_code, set(answer.headers["allow"].split(", ")))


async def test_a_database_that_is_away_is_a_passing_fault(api: Api) -> None:
    owner = await api.let_in("owner")
    await api.pool.close()
    answer = await api.http.get("/api/v1/servers", headers=owner)
    assert (503, "unavailable") == (answer.status_code, answer.json()["code"])
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_fault_of_ours_is_answered_without_details(api: Api) -> None:
    owner = await api.let_in("owner")
    await api.pool.execute("ALTER TABLE servers RENAME TO servers_away")
    answer = await api.http.get("/api/v1/servers", headers=owner)
    assert (500, "internal") == (answer.status_code, answer.json()["code"])
    assert "servers_away" not in answer.text
