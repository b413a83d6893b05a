"""`muster user` and `muster keys`, as somebody types them, on the installation of a data folder."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from shared.audit import INSTALLATION
from shared.io.identity import Identity
from stack.ready import Ready
from tests.support.api import WORKSPACE, Api, running_api
from tests.support.applier import until

NEW_PASSWORD = "a password of some length"


@pytest_asyncio.fixture
async def api(redis_url: str, database_url: str) -> AsyncIterator[Api]:
    """Give an api beside which the command runs."""
    async with running_api(redis_url, database_url, appliers=False) as api:
        yield api


@pytest.fixture
def folder(tmp_path: Path, redis_url: str, database_url: str) -> Path:
    """Give the data folder of an installation that is ready."""
    ready = Ready("http://127.0.0.1:1", redis_url, database_url, {})
    (tmp_path / "ready.json").write_bytes(msgspec.json.encode(ready))
    return tmp_path


def environment(**changed: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}} | changed


def muster(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stack.cli", *arguments, "--data-dir", str(folder)]
    return subprocess.run(
        command, input=typed, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )


async def log_in(api: Api, email: str, password: str = NEW_PASSWORD) -> int:
    answer = await api.http.post("/api/v1/auth/login", json={"email": email, "password": password})
    return answer.status_code


async def test_a_user_is_created_with_the_password_of_the_standard_input(api: Api, folder: Path) -> None:
    added = muster(folder, "user", "add", "new@example.org", "--admin", typed=f"{NEW_PASSWORD}\n")
    assert (0, "") == (added.returncode, added.stderr)
    assert "new@example.org may sign in and administers this installation\n" == added.stdout
    assert 200 == await log_in(api, "new@example.org")
    listed = muster(folder, "user", "list").stdout.splitlines()
    (line,) = [line for line in listed if line.startswith("new@example.org")]
    assert line.endswith("administrator")
    assert 8 == len(listed)


@pytest.mark.parametrize(
    ("arguments", "typed", "complaint"),
    [
        (("add", "owner@example.org"), NEW_PASSWORD, "there is a user owner@example.org"),
        (("add", "nowhere"), NEW_PASSWORD, "email"),
        (("add", "new@example.org"), "short", "password"),
        (("add", "new@example.org"), "", "password"),
        (("add", "new@example.org"), "aaaaaaaaaaaaaaa", "different characters"),
        (("passwd", "unknown@example.org"), NEW_PASSWORD, "there is no user unknown@example.org"),
        (("passwd", "owner@example.org"), "short", "password"),
    ],
)
async def test_what_cannot_be_done_is_one_line(
    api: Api, folder: Path, arguments: tuple[str, ...], typed: str, complaint: str
) -> None:
    refused = muster(folder, "user", *arguments, typed=f"{typed}\n")
    assert (1, "") == (refused.returncode, refused.stdout)
    (line,) = refused.stderr.splitlines()
    assert complaint in line
    assert 401 == await log_in(api, "new@example.org")


async def test_another_password_signs_the_user_out_everywhere(api: Api, folder: Path) -> None:
    owner = await api.let_in("owner")
    assert 200 == (await api.http.get("/api/v1/me", headers=owner)).status_code
    assert 0 == muster(folder, "user", "passwd", "Owner@example.org", typed=NEW_PASSWORD).returncode

    async def is_out() -> bool:
        return (await api.http.get("/api/v1/me", headers=owner)).status_code == 401

    await until(is_out, timeout_s=1)
    assert 200 == await log_in(api, "owner@example.org")


async def test_at_a_terminal_the_password_is_asked_for_and_not_shown(api: Api, folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "stack.cli", "user", "add", "new@example.org", "--data-dir", str(folder)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(), start_new_session=True
    )
    os.close(theirs)
    shown = b""
    for prompt in (b"New password: ", b"Once more: "):
        while not shown.endswith(prompt):
            shown += os.read(ours, 1000)
        os.write(ours, f"{NEW_PASSWORD}\n".encode())
    assert 0 == process.wait(30)
    os.close(ours)
    assert NEW_PASSWORD.encode() not in shown
    assert 200 == await log_in(api, "new@example.org")


async def test_another_key_signs_and_nobody_is_logged_out(api: Api, folder: Path) -> None:
    owner = await api.let_in("owner")
    rotated = muster(folder, "keys", "rotate")
    assert (0, "") == (rotated.returncode, rotated.stderr)
    key = await Identity(api.pool).keys.newest()
    assert rotated.stdout.startswith(f"{key.id} signs from now on")
    assert 200 == (await api.http.get("/api/v1/me", headers=owner)).status_code


async def test_what_the_commands_do_is_in_the_audit_log(api: Api, folder: Path) -> None:
    muster(folder, "user", "add", "new@example.org", "--admin", typed=NEW_PASSWORD)
    muster(folder, "user", "add", "new@example.org", typed=NEW_PASSWORD)
    muster(folder, "user", "passwd", "owner@example.org", typed=NEW_PASSWORD)
    muster(folder, "user", "passwd", "unknown@example.org", typed=NEW_PASSWORD)
    muster(folder, "keys", "rotate")
    new = await api.pool.fetchval("SELECT id FROM users WHERE email = 'new@example.org'")
    key = await Identity(api.pool).keys.newest()
    recorded = await api.pool.fetch("SELECT workspace_id, action, resource, record_id FROM audit_log ORDER BY at")
    assert [
        (INSTALLATION, "created", "users", new),
        (WORKSPACE, "password_changed", "users", "u_owner"),
        (INSTALLATION, "created", "signing_keys", key.id),
    ] == [tuple(row) for row in recorded]
    (by,) = await api.pool.fetch("SELECT DISTINCT actor, origin, request_id FROM audit_log")
    assert ("command line", "", "") == tuple(by)
    assert 1 == len(await api.pool.fetch("SELECT FROM audit_log WHERE details @> '{\"is_admin\": true}'"))


def test_servers_that_are_given_win_over_the_folder(folder: Path) -> None:
    command = [sys.executable, "-m", "stack.cli", "user", "list", "--data-dir", str(folder)]
    given = environment(DATABASE_URL="postgresql://127.0.0.1:1/none", REDIS_URL="redis://127.0.0.1:1")
    refused = subprocess.run(command, env=given, capture_output=True, text=True, timeout=30, check=False)
    assert (1, 1) == (refused.returncode, refused.stderr.count("\n"))
    assert "the database does not answer" in refused.stderr
