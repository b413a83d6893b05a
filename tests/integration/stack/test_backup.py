"""A backup of an installation that runs is that installation, in another folder, with nothing missing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from stack import archive
from tests.support.applier import until
from tests.support.installation import EMAIL, PASSWORD, Installation, installed

# with a password in the environment, the administrator would get that one, instead of what the backup has
KEPT_PASSWORD = {"MUSTER_ADMIN_PASSWORD": ""}
TABLES = ("tags", "servers", "agents", "metrics", "metrics_history", "ws_events", "audit_log", "audit_heads", "users")

EVENT = "INSERT INTO ws_events VALUES ('w_old', 'tags', 1, 't_old', 'add', '{}', 'u_old', now())"


async def muster(*arguments: object, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack.cli", *map(str, arguments)),
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def ask(installation: Installation, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401  (httpx's own)
    headers = {"Authorization": f"Bearer {await installation.token()}"}
    return await installation.client.request(method, path, headers=headers, **more)


async def tables(installation: Installation) -> dict[str, list[str]]:
    async with installation.database() as database:
        return {
            table: [row[0] for row in await database.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")]  # noqa: S608  (constant)
            for table in TABLES
        }


async def report(installation: Installation, secret: str) -> None:
    sample = {"ts": "2026-11-24T00:00:00Z", "cpu_percent": 5.5}
    headers = {"Authorization": f"Bearer {secret}"}
    answer = await installation.client.post("/ingest/v1/metrics", json=sample, headers=headers)
    assert 202 == answer.status_code, answer.text


async def write_until(done: asyncio.Event, installation: Installation) -> int:
    """Write as people do while a backup is made; return how many tags were made."""
    number = 0
    while not done.is_set():
        answer = await ask(installation, "POST", "/api/v1/tags", json={"name": f"during {number}"})
        assert 201 == answer.status_code
        number += 1
    return number


async def is_offline(database: asyncpg.Connection) -> bool:
    return bool(await database.fetchval("SELECT status = 'offline' FROM servers"))


async def test_a_restored_installation_is_the_one_that_was_backed_up(tmp_path: Path) -> None:
    old, new, file, later = (tmp_path / name for name in ("old", "new", "backup", "later"))
    async with installed(old, "--no-agent") as installation:
        for name in ("a", "b"):
            await ask(installation, "POST", "/api/v1/tags", json={"name": name})
        agent = await installation.enrol("one")
        await report(installation, agent["secret"])
        done = asyncio.Event()
        writing = asyncio.create_task(write_until(done, installation))
        status, said = await muster("backup", later, "--data-dir", old)
        done.set()
        assert (0, True) == (status, await writing > 0), said
        await ask(installation, "PATCH", f"/api/v1/servers/{agent['server_id']}", json={"notes": "kept"})
        # goodbye: nothing changes by itself from here on
        await installation.client.post("/ingest/v1/disconnect", headers={"Authorization": f"Bearer {agent['secret']}"})
        async with installation.database() as database:
            await until(lambda: is_offline(database))
            await database.execute(EVENT)
        synced = (await ask(installation, "GET", "/api/sync/status")).json()
        before = await tables(installation)
        status, said = await muster("backup", file, "--data-dir", old)
        assert 0 == status, said
        assert 0o600 == file.stat().st_mode & 0o777
        assert [] == list(tmp_path.glob(".backup*"))
        # what happens afterwards is not in it
        await ask(installation, "POST", "/api/v1/tags", json={"name": "afterwards"})
    secrets = [(old / name).read_text() for name in ("agent-token", "agent-signing-key")]

    status, said = await muster("restore", file, "--data-dir", new)
    assert (0, True) == (status, said.endswith(f"Start it with muster up --data-dir {new}\n")), said
    assert secrets == [(new / name).read_text() for name in ("agent-token", "agent-signing-key")]
    kept = {"agent-signing-key", "agent-token", "caddy", "lock", "logs", "postgres", "terminal.log"}
    assert kept == {path.name for path in new.iterdir()}
    async with installed(new, "--no-agent", environment=KEPT_PASSWORD) as installation:
        restored = await tables(installation)
        assert before == restored
        assert all(before.values()), {table: len(rows) for table, rows in before.items()}
        answer = await installation.client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
        assert 200 == answer.status_code
        status, said = await muster("audit", "verify", "--data-dir", new)
        assert (0, "The audit log holds.") == (status, said.splitlines()[-1])
        # whoever followed the old installation takes a snapshot
        now = (await ask(installation, "GET", "/api/sync/status")).json()
        assert (synced["versions"], True) == (now["versions"], int(now["epoch"]) > int(synced["epoch"]) + 1_000_000)
        missed = {"topic": "tags", "epoch": synced["epoch"], "since": synced["versions"]["tags"]}
        answer = await ask(installation, "GET", "/api/sync/changes", params=missed)
        assert (409, "must_refetch") == (answer.status_code, answer.json()["error"])
        # it goes on where it stood: the agent is known, and versions have no hole
        await report(installation, agent["secret"])
        made = (await ask(installation, "POST", "/api/v1/tags", json={"name": "next"})).json()
        assert synced["versions"]["tags"] + 1 == made["version"]

    # the one that was made while people wrote is whole, too
    status, said = await muster("restore", later, "--data-dir", tmp_path / "third")
    assert 0 == status, said


def pack(file: Path, content: bytes, migrations: tuple[str, ...]) -> None:
    scratch = file.with_name(f"{file.name}.scratch")
    scratch.mkdir()
    (scratch / "content").write_bytes(content)
    members = [archive.member_of(name, scratch / "content") for name in ("database.dump", "folder/agent/secret")]
    manifest = archive.Manifest(format=1, muster="9", made_at="now", migrations=migrations, members=tuple(members))
    archive.pack(file, manifest, {member.name: scratch / "content" for member in members}, scratch)


async def test_what_cannot_be_restored_leaves_nothing(tmp_path: Path) -> None:
    text, newer, broken, full, new = (tmp_path / name for name in ("text", "newer", "broken", "full", "new"))
    text.write_text("no backup")
    pack(newer, b"x", ("99991231000000",))
    pack(broken, b"no dump", ())
    full.mkdir()
    (full / "something").touch()
    for file, folder, environment, complaint in (
        (text, new, {}, f"muster: {text} is no backup"),
        (newer, new, {}, f"muster: {newer} was made by a newer Muster (9): this one does not know 99991231000000"),
        (broken, full, {}, f"muster: {full} is not empty"),
        (broken, new, {"DATABASE_URL": "postgresql://h/d"}, "muster: DATABASE_URL is set"),
    ):
        status, said = await muster("restore", file, "--data-dir", folder, environment=environment)
        assert (1, True) == (status, complaint in said), said
        assert not new.exists()
    status, said = await muster("restore", broken, "--data-dir", new)
    assert (1, True) == (status, "muster: the database cannot be restored: pg_restore: " in said), said
    assert [] == list(new.iterdir())


async def test_a_backup_needs_an_installation_and_a_place(tmp_path: Path) -> None:
    new, file = tmp_path / "new", tmp_path / "file"
    nowhere = f"muster: no Muster is ready in {new}: start it with muster up, or set DATABASE_URL\n"
    assert (1, nowhere) == await muster("backup", file, "--data-dir", new)
    status, said = await muster("backup", tmp_path / "inside", "--data-dir", tmp_path)
    assert (1, True) == (status, "is in the data folder itself" in said), said
    dead = {"DATABASE_URL": "postgresql://127.0.0.1:1/muster"}
    status, said = await muster("backup", file, "--data-dir", new, environment=dead)
    assert (1, True) == (status, said.startswith("muster: the database cannot be read: ")), said
    assert [] == list(tmp_path.iterdir())
