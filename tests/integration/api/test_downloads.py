"""What is offered can be had by anybody, as a whole or in parts; what is not there is named, never looked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.api.settings import Delivery
from shared.agent_builds import ZIPAPP, read_manifest
from stack.delivery.publish import describe, publish
from stack.delivery.signing import public_text
from tests.support.api import Api, running_api

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PLACE = "/api/v1/download/agent"
INSTALLER = "/api/v1/download/install.sh"
CONTENT = b"#!/usr/bin/env python3\n" + bytes(range(256)) * 3000


def add(folder: Path, content: bytes, platform: tuple[str, str] = ZIPAPP, version: str = "0.1.0") -> None:
    file = folder / "made"
    file.write_bytes(content)
    publish(file, describe(file, platform, version), folder, KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    return folder


@pytest_asyncio.fixture
async def api(redis_url: str, database_url: str, folder: Path) -> AsyncIterator[Api]:
    """Give an api that offers what lies in the folder."""
    delivery = Delivery(agents_dir=str(folder))
    async with running_api(redis_url, database_url, appliers=False, delivery=delivery) as api:
        yield api


async def test_an_agent_its_digest_and_its_manifest_are_there_for_everybody(api: Api, folder: Path) -> None:
    add(folder, CONTENT)
    for version in ("0.1.0", "latest"):
        answer = await api.http.get(f"{PLACE}/any/python3/{version}")
        assert (200, CONTENT) == (answer.status_code, answer.content)
        digest = (await api.http.get(f"{PLACE}/any/python3/{version}.sha256")).text
        assert sha256(CONTENT).hexdigest() == digest.split()[0]
        manifest = (await api.http.get(f"{PLACE}/any/python3/{version}.manifest")).content
        assert sha256(CONTENT).hexdigest() == read_manifest(manifest).sha256


async def test_latest_is_the_newest_version_of_its_platform(api: Api, folder: Path) -> None:
    add(folder, b"0.9", version="0.9.0")
    add(folder, b"0.10", version="0.10.0")
    add(folder, b"1.0", ("linux", "x86_64"), "1.0.0")
    assert b"0.10" == (await api.http.get(f"{PLACE}/any/python3/latest")).content


async def test_a_part_can_be_had_and_what_is_known_is_not_sent_again(api: Api, folder: Path) -> None:
    add(folder, CONTENT)
    url, tag = f"{PLACE}/any/python3/0.1.0", f'"{sha256(CONTENT).hexdigest()}"'
    part = await api.http.get(url, headers={"Range": "bytes=300000-", "If-Range": tag})
    assert (206, CONTENT[300_000:]) == (part.status_code, part.content)
    assert f"bytes 300000-{len(CONTENT) - 1}/{len(CONTENT)}" == part.headers["content-range"]
    other = await api.http.get(url, headers={"Range": "bytes=300000-", "If-Range": '"other"'})
    assert (200, CONTENT) == (other.status_code, other.content)
    behind = await api.http.get(url, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (416, f"bytes */{len(CONTENT)}") == (behind.status_code, behind.headers["content-range"])
    known = await api.http.get(url, headers={"If-None-Match": tag})
    assert (304, b"") == (known.status_code, known.content)


async def test_a_name_is_looked_up_and_never_becomes_a_path(api: Api, folder: Path) -> None:
    add(folder, CONTENT)
    (folder.parent / "secret").write_text("secret")
    for path in (
        "any/python3/0.2.0",
        "linux/x86_64/latest",
        "any/python3/..%2F..%2Fsecret",
        "any/..%2Fpython3/0.1.0",
        "..%2F..%2Fetc/passwd/x",
        "any/python3/latest.sig",
        "any/python3/%00",
    ):
        answer = await api.http.get(f"{PLACE}/{path}")
        assert (404, "not_found") == (answer.status_code, answer.json()["code"]), path
    answer = await api.http.get(f"{PLACE}/any/python3/0.2.0")
    assert "there are: any/python3/0.1.0, any/python3/latest" in answer.json()["detail"]


async def test_without_agents_it_is_said_how_to_make_them(api: Api) -> None:
    assert "muster agent build" in (await api.http.get(f"{PLACE}/any/python3/latest")).json()["detail"]
    answer = await api.http.get(INSTALLER)
    assert (404, "no_agent") == (answer.status_code, answer.json()["code"])


async def test_the_installer_for_everybody_carries_no_token(api: Api, folder: Path) -> None:
    add(folder, CONTENT)
    answer = await api.http.get(INSTALLER, headers={"Host": "muster.example.org", "X-Forwarded-Proto": "https"})
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    for line in ("server=https://muster.example.org\n", "token=''\n", f"key={public_text(KEY)}\n"):
        assert line in answer.text
    assert 0 == await api.pool.fetchval("SELECT count(*) FROM enrolment_tokens")


async def test_the_installer_for_an_editor_carries_a_fresh_token_which_the_audit_log_knows(
    api: Api, folder: Path
) -> None:
    add(folder, CONTENT)
    wishes = {"uses": "3", "expires_in_s": "600", "groups": ["db", "a'; reboot #"], "name": "rack 1"}
    answer = await api.http.get(INSTALLER, params=wishes, headers=await api.let_in("editor"))
    assert 200 == answer.status_code
    token = answer.text.split("\ntoken=")[1].split("\n")[0]
    row = await api.pool.fetchrow("SELECT * FROM enrolment_tokens")
    assert sha256(token.encode()).digest() == row["token_hash"]
    assert ("rack 1", 3, ["db", "a'; reboot #"]) == (row["name"], row["uses_left"], row["groups"])
    assert "reboot" not in answer.text
    recorded = await api.pool.fetch("SELECT action, resource FROM audit_log WHERE record_id = $1", row["id"])
    assert [("created", "enrolment_tokens")] == [(each["action"], each["resource"]) for each in recorded]


async def test_only_who_may_make_enrolment_tokens_gets_one_in_the_script(api: Api, folder: Path) -> None:
    add(folder, CONTENT)
    for headers, status in (
        (await api.let_in("viewer"), 403),
        (await api.let_in("nobody"), 403),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
        (await api.let_in("both"), 400),
        (await api.let_program_in("editor", "read"), 403),
    ):
        assert status == (await api.http.get(INSTALLER, headers=headers)).status_code
    # what is wished of a token makes no sense without one
    assert 401 == (await api.http.get(INSTALLER, params={"uses": "5"})).status_code
    assert 0 == await api.pool.fetchval("SELECT count(*) FROM enrolment_tokens")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("uses=0", "uses"),
        ("uses=1001", "uses"),
        ("uses=one", "uses"),
        ("uses=1&uses=2", "uses"),
        ("expires_in_s=59", "expires_in_s"),
        ("groups=a%0Ab", "groups[0]"),
        ("token=me_mine", "token"),
    ],
)
async def test_bad_wishes_are_refused_by_name(api: Api, folder: Path, query: str, field: str) -> None:
    add(folder, CONTENT)
    answer = await api.http.get(f"{INSTALLER}?{query}", headers=await api.let_in("owner"))
    assert (400, field) == (answer.status_code, answer.json()["errors"][0]["field"])


@pytest.mark.parametrize("host", ["box'; reboot; '", "$(reboot)", "user@box", "box/x"])
async def test_a_host_that_is_no_address_gets_no_script(api: Api, folder: Path, host: str) -> None:
    add(folder, CONTENT)
    assert 400 == (await api.http.get(INSTALLER, headers={"Host": host})).status_code


async def test_a_look_tells_what_a_download_would_be_and_makes_no_token(api: Api, folder: Path) -> None:
    add(folder, CONTENT)
    for path in (f"{PLACE}/any/python3/latest", f"{PLACE}/any/python3/latest.sha256", INSTALLER):
        whole, look = await api.http.get(path), await api.http.head(path)
        assert (200, b"") == (look.status_code, look.content)
        assert str(len(whole.content)) == look.headers["content-length"]
        assert whole.headers.get("etag") == look.headers.get("etag")
    assert 200 == (await api.http.head(INSTALLER, headers=await api.let_in("editor"))).status_code
    assert 0 == await api.pool.fetchval("SELECT count(*) FROM enrolment_tokens")
    assert 404 == (await api.http.head(f"{PLACE}/any/python3/0.2.0")).status_code
