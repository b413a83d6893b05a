"""Enrolment tokens are shown once, stored as hashes, bounded, and known in their workspace only."""

from datetime import datetime, timedelta
from hashlib import sha256

import httpx
import pytest

from services.api.enrolment import MAX_TOKENS
from tests.support.api import WORKSPACE, Api

TOKENS = "/api/v1/enrolment-tokens"


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api; enrolment tokens need no log."""
    return sealed_api


async def add(api: Api, headers: dict[str, str], **fields: object) -> httpx.Response:
    return await api.http.post(TOKENS, json={"name": "rack 1"} | fields, headers=headers)


async def listed(api: Api, headers: dict[str, str]) -> list[str]:
    return [item["id"] for item in (await api.http.get(TOKENS, headers=headers)).json()["items"]]


async def test_a_token_is_shown_once_and_stored_as_its_hash(api: Api) -> None:
    headers = await api.let_in("editor")
    answer = await add(api, headers, uses=5, expires_in_s=600, groups=["db"])
    shown = answer.json()
    assert (201, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert ("rack 1", 5, ["db"], "u_editor") == tuple(
        shown[name] for name in ("name", "uses_left", "groups", "created_by")
    )
    life = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert timedelta(seconds=600) == life
    token, server, line = (shown.pop(name) for name in ("token", "server", "install_line"))
    assert token.startswith("me_")
    assert "http://api.test" == server
    script = f"{server}/api/v1/download/install.sh"
    assert f"(echo MUSTER_ENROL_TOKEN={token}; curl -fsSL {script} || echo exit 1) | sudo sh" == line
    assert 46 == len(token)
    row = await api.pool.fetchrow("SELECT * FROM enrolment_tokens")
    assert (sha256(token.encode()).digest(), WORKSPACE) == (row["token_hash"], row["workspace_id"])
    assert {"items": [shown]} == (await api.http.get(TOKENS, headers=headers)).json()


async def test_a_token_is_good_once_and_for_an_hour_when_nothing_is_said(api: Api) -> None:
    shown = (await add(api, await api.let_in("owner"))).json()
    life = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert (1, timedelta(hours=1), []) == (shown["uses_left"], life, shown["groups"])


async def test_a_deleted_token_is_gone(api: Api) -> None:
    headers = await api.let_in("owner")
    first, second = [(await add(api, headers)).json()["id"] for _ in range(2)]
    assert {first, second} == set(await listed(api, headers))
    assert 204 == (await api.http.delete(f"{TOKENS}/{first}", headers=headers)).status_code
    assert [second] == await listed(api, headers)
    for unknown in (first, "e_9", "%00", "%F0%9F%98%80"):
        assert 404 == (await api.http.delete(f"{TOKENS}/{unknown}", headers=headers)).status_code


async def test_others_neither_see_nor_delete_a_token(api: Api) -> None:
    token_id = (await add(api, await api.let_in("owner"))).json()["id"]
    stranger = await api.let_in("stranger")
    assert [] == await listed(api, stranger)
    assert 404 == (await api.http.delete(f"{TOKENS}/{token_id}", headers=stranger)).status_code
    assert [token_id] == await listed(api, await api.let_in("owner"))


async def test_bad_wishes_are_refused(api: Api) -> None:
    headers = await api.let_in("owner")
    for fields, field in (
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"uses": 0}, "uses"),
        ({"uses": 1001}, "uses"),
        ({"uses": 1.5}, "uses"),
        ({"uses": "1"}, "uses"),
        ({"uses": True}, "uses"),
        ({"expires_in_s": 59}, "expires_in_s"),
        ({"expires_in_s": 90 * 86_400 + 1}, "expires_in_s"),
        ({"groups": "db"}, "groups"),
        ({"groups": ["\n"]}, "groups[0]"),
        ({"token": "me_mine"}, "token"),
    ):
        answer = await add(api, headers, **fields)
        assert (422, field) == (answer.status_code, answer.json()["errors"][0]["field"]), fields
    assert 0 == await api.pool.fetchval("SELECT count(*) FROM enrolment_tokens")


async def test_a_workspace_has_so_many_tokens_until_old_ones_are_forgotten(api: Api) -> None:
    await api.pool.execute(
        "INSERT INTO enrolment_tokens (id, workspace_id, name, token_hash, uses_left, expires_at) "
        "SELECT 'e_' || n, $1, '', n::text::bytea, 1, now() FROM generate_series(1, $2) n",
        WORKSPACE,
        MAX_TOKENS,
    )
    headers = await api.let_in("owner")
    answer = await add(api, headers)
    assert (422, "too_many") == (answer.status_code, answer.json()["code"])
    await api.pool.execute("UPDATE enrolment_tokens SET expires_at = now() - interval '8 days'")
    assert 201 == (await add(api, headers)).status_code
    assert 1 == len(await listed(api, headers))


async def test_no_token_is_made_where_the_line_for_it_cannot_be_told(api: Api) -> None:
    headers = await api.let_in("owner")
    answer = await add(api, headers | {"Host": "muster.example.org;reboot"})
    assert (400, "Host is no address of this installation") == (answer.status_code, answer.json()["detail"])
    assert [] == await listed(api, headers)
