"""The embedded servers keep what they acknowledged, wherever they are and however they ended."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import asyncpg
import pytest
import redis

from stack.embedded import postgres
from stack.errors import StackError
from stack.folders import make_private
from stack.migrate import migrate
from stack.program import Program, plain_environment
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.valkey import ValkeyServer

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")


def test_an_acknowledged_append_survives_a_kill(private_valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(private_valkey.url) as client:
        for number in range(100):
            client.xadd("log", {"n": number}, id=f"1-{number + 1}")
    private_valkey.kill()
    private_valkey.start()
    with redis.Redis.from_url(private_valkey.url) as client:
        assert client.xlen("log") == 100


def test_nobody_gets_in_without_the_password(private_valkey: ValkeyServer) -> None:
    without = "redis://" + private_valkey.url.partition("@")[2]
    with redis.Redis.from_url(without) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_folder_with_any_name_will_do(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / 'my "fleet" ü', durable=True)
    server.start()
    server.stop()
    assert (tmp_path / 'my "fleet" ü' / "appendonlydir").is_dir()


async def test_a_committed_row_survives_a_kill(private_postgres: PostgresServer) -> None:
    async with private_postgres.new_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
        private_postgres.kill()
        connection.terminate()
        private_postgres.start()
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT n FROM t") == 7
        await connection.close()


async def test_the_process_id_of_a_killed_server_stops_nothing(private_postgres: PostgresServer) -> None:
    program, folder = private_postgres.program, private_postgres.program.directory
    assert folder is not None
    private_postgres.kill()
    # as after a reboot, when the number belongs to another process of the same user
    other = Program(
        name="other", role="other", argv=("/bin/sleep", "60"), environment=plain_environment(), account=program.account
    )
    process = subprocess.Popen(other.command(), **other.spawn_options(subprocess.DEVNULL))
    file = folder / "data" / "postmaster.pid"
    file.write_text("\n".join([str(process.pid), *file.read_text().split("\n")[1:]]))
    await postgres.prepare(folder, PASSWORD, durable=False)
    private_postgres.start()
    process.kill()
    process.wait()


async def test_a_cluster_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    folder = make_private(tmp_path / "postgres")
    (folder / "unfinished-1").mkdir()
    (folder / "unfinished-1" / "PG_VERSION").write_text("18")
    await postgres.prepare(folder, PASSWORD, durable=False)
    assert sorted(path.name for path in folder.iterdir()) == ["data"]
    await postgres.prepare(folder, PASSWORD, durable=False)
    assert sorted(path.name for path in folder.iterdir()) == ["data", postgres.LOCK]


async def test_a_cluster_of_another_release_is_refused_with_both_numbers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(StackError, match=r"was made by PostgreSQL 9, but this is \d+"):
        await postgres.prepare(tmp_path, PASSWORD)


async def test_the_role_of_the_services_owns_its_database_and_no_more(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert not await connection.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetchval("SELECT pg_read_file('/etc/passwd')")
    await connection.close()


async def test_a_second_preparation_of_the_database_changes_nothing_but_the_password(
    private_postgres: PostgresServer,
) -> None:
    await postgres.ensure_database(private_postgres.superuser_url, "an'other")
    connection = await asyncpg.connect(private_postgres.database_url("muster"), password="an'other")
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(private_postgres.database_url("muster"))


async def test_migrating_twice_changes_nothing(database_url: str) -> None:
    await migrate(database_url)
    connection = await asyncpg.connect(database_url)
    versions = await connection.fetchval("SELECT count(*) FROM schema_migrations")
    await migrate(database_url)
    assert await connection.fetchval("SELECT count(*) FROM schema_migrations") == versions
    await connection.close()


async def test_a_migration_that_fails_is_told_with_what_dbmate_said(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM schema_migrations")
    await connection.close()
    with pytest.raises(StackError, match=r"(?s)could not be migrated: .*already exists"):
        await migrate(database_url)


@as_root
@pytest.mark.parametrize("owner", [0, 4321])
async def test_root_runs_postgresql_below_a_home_that_others_cannot_read(tmp_path: Path, owner: int) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, owner, owner)
    server = await PostgresServer.create(home / "muster" / "postgres")
    async with server.new_database() as url:
        await (await asyncpg.connect(url)).close()
    server.stop()
